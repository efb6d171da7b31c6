/** Pages of lists: together they are the list, whatever the limit; a marker is good for its own list only. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AwsError } from "../../../simulator/errors.js";
import type { PageRequest } from "../../../simulator/kms/pagination.js";
import { pageOf } from "../../../simulator/kms/pagination.js";

const listing = (items: readonly string[], name = ["ListThings", "a"]) => ({
  ...{ name, items, idOf: (item: string) => item, limits: { usual: 3, most: 9 } },
});

const pageAt = (request: PageRequest, items: readonly string[], name?: string[]) =>
  pageOf(request, listing(items, name));

function refusalOf(...[request, items, name]: Parameters<typeof pageAt>): string {
  try {
    pageAt(request, items, name);
  } catch (error) {
    return error instanceof AwsError ? error.type : String(error);
  }
  return "none";
}

function* allPages(items: readonly string[], Limit: number) {
  let Marker: string | undefined;
  do {
    const page = pageAt({ Limit, Marker }, items);
    yield page;
    Marker = page.members.NextMarker;
  } while (Marker !== undefined);
}

const uniqueIds = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 40, unit: "grapheme" }), { maxLength: 30 });

describe("pageOf", () => {
  it("gives pages that together are the list, in order, each as long as asked but the last", () => {
    fc.assert(
      fc.property(uniqueIds, fc.integer({ min: 1, max: 9 }), (ids, limit) => {
        const pages = [...allPages(ids, limit)];
        expect(pages.flatMap((page) => page.items)).toEqual([...ids].sort());
        for (const { items, members } of pages.slice(0, -1)) {
          expect([items.length, members.Truncated]).toEqual([limit, true]);
        }
        expect(pages.at(-1)?.members).toEqual({ Truncated: false });
      }),
    );
  });

  it("has the usual length where none is asked for", () => {
    expect(pageAt({}, ["d", "c", "b", "a"]).items).toEqual(["a", "b", "c"]);
  });

  it("has the greatest length where more is asked for", () => {
    expect(pageAt({ Limit: 1000 }, [..."abcdefghijkl"]).items.join("")).toBe("abcdefghi");
  });

  it("goes on behind a marker, though the item that it names is gone and others have come", () => {
    const { NextMarker: Marker } = pageAt({ Limit: 2 }, ["a", "b", "c"]).members;
    expect(pageAt({ Marker }, ["a", "aa", "bb", "c"]).items).toEqual(["bb", "c"]);
  });

  it("has markers that the API lets through", () => {
    const items = ["\u{10FFFF}".repeat(128), "\u{10FFFF}".repeat(127)];
    expect(pageAt({ Limit: 1 }, items).members.NextMarker).toMatch(/^[ -ÿ]{1,1024}$/);
  });

  it("refuses the marker of another list", () => {
    const { NextMarker: Marker } = pageAt({ Limit: 1 }, ["a", "b"]).members;
    expect(pageAt({ Marker }, ["a", "b"]).items).toEqual(["b"]);
    for (const name of [["ListThings", "b"], ["ListOthers", "a"], ["ListThings", "a", ""], ["ListThings"]]) {
      expect(refusalOf({ Marker }, ["a", "b"], name)).toBe("InvalidMarkerException");
    }
  });

  it("refuses whatever is no marker", () => {
    const { NextMarker = "" } = pageAt({ Limit: 1 }, ["a", "b"]).members;
    const changed = [...NextMarker].map(
      (_, at) => NextMarker.slice(0, at) + (NextMarker[at] === "A" ? "B" : "A") + NextMarker.slice(at + 1),
    );
    for (const Marker of ["a", "", `${NextMarker}=`, NextMarker.slice(0, -1), ...changed]) {
      expect(refusalOf({ Marker }, ["a", "b"])).toBe("InvalidMarkerException");
    }
    fc.assert(
      fc.property(fc.string(), (Marker) => {
        expect(refusalOf({ Marker }, [])).toBe("InvalidMarkerException");
      }),
    );
  });
});
