/** `nitro-decrypt context lint`: warns of what an encryption context should not have, and of what it lacks. */
import { parseArgs } from "node:util";
import type { ContextExpectations, ContextWarning } from "../../shared/context-lint.js";
import { lintEncryptionContext } from "../../shared/context-lint.js";
import type { Io } from "../command.js";
import { CommandFailure, defineCommand } from "../command.js";
import { readInput } from "../input.js";
import { optionValue } from "../option-values.js";
import { print, printable } from "../report.js";
import { configuredPairs } from "./configured-pairs.js";
import type { GivenContext } from "./given-contexts.js";
import { contextOfArguments, contextOfMessage, contextsOfFile } from "./given-contexts.js";

const usage = `Warns of what is wrong with encryption contexts. A context is no secret: AWS KMS writes it to CloudTrail, and the
AWS Encryption SDK to the head of every message, in clear. No value is printed.

Usage: nitro-decrypt context lint [NAME=VALUE …] [options]

  NAME=VALUE       pairs of one context; other users of this machine can see them while the command runs
  --pairs FILE     JSON: a context ({"tenant": "acme"}) or a list of contexts; - is stdin
  --message FILE   a message of the AWS Encryption SDK: the context in its header; may be given several times
  --config FILE    an enclave's configuration: pairs that it requires of messages or whose type in the Cedar schema is
                   not optional must be there, pairs that its policies ask about should be
  --expect NAME    a pair that must be there; may be given several times
  --json           {"contexts": [{"source": …, "warnings": […]}], "serious": N, "minor": N}
  --help           this text

Exit code 0 when there are no serious warnings, 1 when there are, 2 for wrong usage. A context without a warning may
still have a secret in it: only what looks like one is found.
`;

const MAX_CONFIGURATION_BYTES = 1024 * 1024;

const OPTIONS = {
  pairs: { type: "string", multiple: true },
  message: { type: "string", multiple: true },
  config: { type: "string", multiple: true },
  expect: { type: "string", multiple: true },
  json: { type: "boolean" },
} as const;

export const lint = defineCommand({
  name: "context lint",
  summary: "warn of secrets and personal data in an encryption context, and of missing pairs",
  usage,
  async execute(argv, io) {
    const { values, positionals } = parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true });
    const pairsFile = optionValue(values, "pairs");
    const contexts: readonly GivenContext[] = [
      ...(positionals.length === 0 ? [] : [contextOfArguments(positionals)]),
      ...(pairsFile === undefined ? [] : await contextsOfFile(pairsFile, io)),
      ...(await Promise.all((values.message ?? []).map((file) => contextOfMessage(file, io)))),
    ];
    if (contexts.length === 0) throw new CommandFailure(2, "expected NAME=VALUE, --pairs FILE or --message FILE");
    const expectations = await expectationsOf(optionValue(values, "config"), values.expect ?? [], io);
    const found = contexts.map(({ source, pairs }) => ({
      source,
      warnings: lintEncryptionContext(pairs, expectations),
    }));
    const report = { contexts: found, ...countsOf(found.flatMap(({ warnings }) => warnings)) };
    print(io, values.json === true, report, () => describe(report));
    return report.serious > 0 ? 1 : 0;
  },
});

async function expectationsOf(
  config: string | undefined,
  expected: readonly string[],
  io: Io,
): Promise<ContextExpectations> {
  if (config === undefined) return { expectedPairs: expected };
  const { expectedPairs, policyPairs } = configuredPairs(await readInput(config, io, MAX_CONFIGURATION_BYTES));
  return { expectedPairs: [...new Set([...expected, ...expectedPairs])], policyPairs };
}

const countsOf = (warnings: readonly ContextWarning[]) => {
  const serious = warnings.filter(({ weight }) => weight === "serious").length;
  return { serious, minor: warnings.length - serious };
};

interface Report {
  readonly contexts: readonly { readonly source: string; readonly warnings: readonly ContextWarning[] }[];
  readonly serious: number;
  readonly minor: number;
}

function describe({ contexts, serious, minor }: Report): string {
  const lines = contexts.flatMap(({ source, warnings }) =>
    warnings.map(({ code, weight, message }) => `${printable(source)}: ${weight}: ${code}: ${printable(message)}`),
  );
  const many = contexts.length === 1 ? "1 context" : `${contexts.length} contexts`;
  return [...lines, `${many}: ${serious} serious, ${minor} minor`].join("\n");
}
