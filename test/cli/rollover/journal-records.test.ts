/** The journal's reader: a torn last line means nothing, everything else is strict. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CommandFailure } from "../../../cli/command.js";
import { parseJournal } from "../../../cli/rollover/journal-records.js";
import { utf8 } from "../../../shared/bytes.js";
import { NEW, OLD } from "./messages.js";

const AT = "2026-11-24T10:00:00.000Z";
const HEAD = {
  ...{ event: "rollover", version: 1, at: AT, from: [OLD], to: { kind: "key", arn: NEW } },
  source: { kind: "folder", path: "/messages" },
};
const begin = (file: string) => ({ event: "begin", file, temporary: `/messages/.rollover-${"0a".repeat(16)}.tmp` });
const end = (file: string, outcome = "done") => ({ event: "end", file, outcome, at: AT });
const RECORDS = [HEAD, begin("/a"), begin("/b"), end("/a"), end("/b", "failed"), begin("/b"), begin("/c")];

const linesOf = (records: readonly object[]): string => records.map((record) => `${JSON.stringify(record)}\n`).join("");
const parse = (text: string) => parseJournal(utf8(text), "journal");

describe("a journal", () => {
  it("says which files are open, and how the others ended last", () => {
    const content = parse(linesOf(RECORDS));
    expect([...(content?.open.keys() ?? [])]).toEqual(["/b", "/c"]);
    expect([...(content?.ends ?? [])].map(([file, { outcome }]) => [file, outcome])).toEqual([
      ["/a", "done"],
      ["/b", "failed"],
    ]);
  });

  it("cut off at any byte is the journal of its whole lines", () => {
    const text = linesOf(RECORDS);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: text.length }), (length) => {
        const cut = text.slice(0, length);
        const whole = cut.slice(0, cut.lastIndexOf("\n") + 1);
        expect(parse(cut)).toEqual(whole === "" ? undefined : parse(whole));
        expect(parse(cut)?.length ?? 0).toBe(whole.length);
      }),
    );
  });

  it("of other bytes is refused, or read as what it is: nothing else is thrown", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        try {
          parseJournal(bytes, "journal");
        } catch (error) {
          expect(error).toBeInstanceOf(CommandFailure);
        }
      }),
    );
  });
});

describe("a journal is refused, with its line and the next step", () => {
  it.each<[string, string, number]>([
    ["without a head", linesOf([begin("/a")]), 1],
    ["of another version", linesOf([{ ...HEAD, version: 2 }]), 1],
    ["with an unknown member", linesOf([HEAD, { ...begin("/a"), more: 1 }]), 2],
    ["with a second head", linesOf([HEAD, HEAD]), 2],
    ["with an empty line", `${linesOf([HEAD])}\n`, 2],
    ["with a torn line that is not the last", `${linesOf([HEAD])}{"event":"be\n`, 2],
    ["with an end of what was not begun", linesOf([HEAD, end("/a")]), 2],
    ["with a second end", linesOf([HEAD, begin("/a"), end("/a"), end("/a")]), 4],
    ["with a temporary file that is none", linesOf([HEAD, { ...begin("/a"), temporary: "/messages/record" }]), 2],
    ["with a path that is relative", linesOf([HEAD, begin("a")]), 2],
  ])("%s", (_, text, line) => {
    expect(() => parse(text)).toThrow(new RegExp(`^journal is damaged in line ${line}: .* Give a new --state`));
  });

  it("that is not UTF-8", () => {
    expect(() => parseJournal(new Uint8Array([0xff, 0x0a]), "journal")).toThrow(/it is not UTF-8/);
  });
});
