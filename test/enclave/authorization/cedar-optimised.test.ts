/** Decisions of an engine that V8 has optimised, in a process of their own: what goes wrong there ends the process. */
import { describe, expect, it } from "vitest";
import { projectRoot, runCommand } from "../../support/project.js";

/**
 * Decides until the call is optimised, and has its code invalidated in the middle of one more decision: `toJSON` runs while
 * the engine reads the request.
 */
const SCRIPT = `
import { CedarStore } from "./dist/enclave/authorization/cedar.js";
const store = new CedarStore();
const text = 'entity Caller; entity Enclave; action "random" appliesTo { principal: Caller, resource: Enclave, context: { channel: String } };';
store.parseSchema({ field: "schema", text, firstLine: 1 });
store.keep("all", [{ id: "all", text: "permit(principal, action, resource);" }]);
let isLast = false;
const channel = { toJSON() { if (isLast) invalidate(); return "tls"; } };
const [principal, action, resource] = [["Caller", "a"], ["Action", "random"], ["Enclave", "enclave"]].map(([type, id]) => ({ type, id }));
const decide = () => store.evaluate("all", { principal, action, resource, context: { channel }, entities: [] });
const invalidate = () => { %DeoptimizeFunction(decide); %DeoptimizeFunction(CedarStore.prototype.evaluate); };
for (let i = 0; i < 20_000; i++) decide();
isLast = true;
console.log(decide().decision);
`;

describe("the policy engine", () => {
  it("survives that its optimised call is invalidated while it decides", () => {
    const options = ["--allow-natives-syntax", "--input-type=module", "--eval", SCRIPT];
    expect(runCommand(process.execPath, options, projectRoot)).toMatchObject({ status: 0, stdout: "allow\n" });
  });
});
