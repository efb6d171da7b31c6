/** A program that engine.test.ts runs: makes Cedar's engine trap, which is of no use afterwards, and says what comes of it. */
import { CedarStore } from "../../../enclave/authorization/cedar.js";
import { ServiceError } from "../../../shared/errors.js";
import { policyOf, SCHEMA } from "./example.js";

const LEVELS = 20_000;
const deep = (open: string, inside: string, close: string): string =>
  open.repeat(LEVELS) + inside + close.repeat(LEVELS);

const TRAPS: Readonly<Record<string, () => void>> = {
  policies: () => policyOf({ policies: `permit(principal, action, resource) when { ${deep("(", "true", ")")} };` }),
  schema: () => policyOf({ schema: SCHEMA.replace("level?: Long", `level?: ${deep("{a:", "Long", "}")}`) }),
  store: keepWhatIsTooDeep,
};

const store = new CedarStore();

/** A policy that policy-text.ts would have kept out. */
function keepWhatIsTooDeep(): void {
  store.keep("deep", [{ id: "deep", text: `permit(principal, action, resource) when { ${deep("(", "true", ")")} };` }]);
}

for (const attempt of [TRAPS[process.argv[2] ?? ""], () => store.keep("empty", [])]) {
  try {
    attempt?.();
    process.stdout.write("fine\n");
  } catch (error) {
    const said = error instanceof ServiceError ? `${error.code} ${error.message}` : (error as Error).name;
    process.stdout.write(`${said}\n`);
  }
}
