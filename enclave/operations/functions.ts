/**
 * Functions: an application's own code on plaintext that never leaves the enclave. They are part of the measured image;
 * each is called as `POST /v1/functions/NAME` with a ciphertext or a message, and an input of its own. What leaves is what
 * the output's schema lets through, and nothing else: no error text, and no plaintext, which is overwritten when the
 * function has ended or its time is over.
 */
import type { KMSClient } from "@aws-sdk/client-kms";
import { KMSServiceException } from "@aws-sdk/client-kms";
import { wipe } from "../../shared/bytes.js";
import { ServiceError } from "../../shared/errors.js";
import type { FunctionRequest } from "../../shared/wire.js";
import { bytesOf, functionRequest, MAX_MESSAGE_REQUEST_BYTES } from "../../shared/wire.js";
import type { Principal } from "../authorization/principal.js";
import type { Clock } from "../clock.js";
import { withinDeadline } from "../deadline.js";
import type { KmsClients } from "../kms/kms-clients.js";
import { kmsErrorOf } from "../kms/kms-errors.js";
import type { MadeMessage, OpenedMessage } from "../messages/messages.js";
import type { Decryption } from "./decryption.js";
import type { Encryption, NewMessage } from "./encryption.js";
import type { Call, Operation } from "./guard.js";
import { jsonOperation } from "./operations.js";
import type { RoutedAnswer } from "./route.js";
import { jsonAnswer } from "./route.js";

/** What turns a value of unknown form into a T, or throws: a zod schema is one. */
export interface Schema<T> {
  parse(value: unknown): T;
}

/** AWS Encryption SDK messages within a function. They throw the ServiceErrors of the operations `messages/…`. */
export interface FunctionMessages {
  /** Opens one. The plaintext is the function's own to overwrite. @param expected pairs that its context must have. */
  decrypt(message: Uint8Array, expected?: Readonly<Record<string, string>>): Promise<OpenedMessage>;
  /** Makes one. */
  encrypt(plaintext: Uint8Array, wanted: NewMessage): Promise<MadeMessage>;
}

/** What a function is called with. */
export interface FunctionCall<Input> {
  /** As the input's schema made it. */
  readonly input: Input;
  /** Overwritten when the function has ended: what is to outlive it must be copied. Empty where it takes none. */
  readonly plaintext: Uint8Array;
  /** What the plaintext is bound to: the context that its ciphertext was opened with. */
  readonly encryptionContext: Readonly<Record<string, string>>;
  readonly principal: Principal;
  /** Messages, opened and made for the caller: the policies are asked about each key, with this function as the action. */
  readonly messages: FunctionMessages;
  /** The attested client of the enclave's own Region, for keys of the configuration. What is done with it no policy is asked about: it is this code's own. */
  readonly kms: KMSClient;
  /** Fires at the deadline, and when the caller has gone. */
  readonly signal: AbortSignal;
}

export interface FunctionDefinition<Input, Output> {
  /** Lower-case letters, digits and hyphens. */
  readonly name: string;
  readonly input: Schema<Input>;
  /** What it does not let through does not leave the enclave: a zod object drops fields that it does not name. */
  readonly output: Schema<Output>;
  /** `required` (unless given): it is called with a ciphertext or a message. `none`: with neither. */
  readonly plaintext?: "required" | "none";
  /** Whether it does no harm when a request is served twice, by this enclave or another of its fleet. No, unless given. */
  readonly idempotent?: boolean;
  /** 10 seconds unless given; the request's own deadline holds as well. */
  readonly deadlineMs?: number;
  /**
   * The code itself. A ServiceError ERR_FUNCTION_REFUSED that it throws is told to the caller by its code; whatever else
   * it throws becomes ERR_FUNCTION_FAILED.
   */
  readonly run: (call: FunctionCall<Input>) => Output | Promise<Output>;
}

const NAME = /^[a-z][a-z0-9-]{0,63}$/;
const DEFAULT_DEADLINE_MS = 10_000;
/** Known to this module alone: what `createEnclave` takes has been through `defineFunction`. */
const MINT = Symbol("functions.ts");

/** A function that can be given to `createEnclave`. Only `defineFunction` makes one. */
export class EnclaveFunction {
  readonly name: string;
  readonly #definition: FunctionDefinition<unknown, unknown>;

  constructor(mint: symbol, definition: FunctionDefinition<unknown, unknown>) {
    if (mint !== MINT) throw new TypeError("an EnclaveFunction comes from defineFunction");
    this.name = definition.name;
    this.#definition = definition;
  }

  /** Its definition, for the enclave. */
  static definitionOf(value: EnclaveFunction): FunctionDefinition<unknown, unknown> {
    if (typeof value !== "object" || value === null || !(#definition in value)) {
      throw new TypeError("functions are made by defineFunction");
    }
    return value.#definition;
  }
}

/**
 * Defines a function. It does not check that the code keeps what it should: whatever the output's schema lets through,
 * callers get.
 * @throws TypeError when the name or the deadline is not of its form, or a part is missing.
 */
export function defineFunction<Input, Output>(definition: FunctionDefinition<Input, Output>): EnclaveFunction {
  const { name, input, output, run, deadlineMs = DEFAULT_DEADLINE_MS } = definition;
  if (!NAME.test(name)) throw new TypeError("the name of a function is lower-case letters, digits and hyphens");
  if (typeof input?.parse !== "function") throw new TypeError("input is a schema");
  if (typeof output?.parse !== "function") throw new TypeError("output is a schema");
  if (typeof run !== "function") throw new TypeError("run is a function");
  if (!(Number.isFinite(deadlineMs) && deadlineMs > 0)) throw new TypeError("deadlineMs is a positive number");
  return new EnclaveFunction(MINT, {
    ...definition,
    // what `input` has made is what `run` is declared to take: the one cast between the two
    run: (call) => run(call as FunctionCall<Input>),
  });
}

export interface FunctionsOptions {
  readonly decryption: Decryption;
  readonly encryption: Encryption;
  readonly kms: Pick<KmsClients, "operations">;
  readonly clock: Clock;
}

/**
 * The operations that `functions` are.
 * @throws TypeError when two have one name, or one does not come from `defineFunction`.
 */
export function functionOperations(functions: readonly EnclaveFunction[], options: FunctionsOptions): Operation[] {
  const definitions = functions.map((value) => EnclaveFunction.definitionOf(value));
  const names = new Set(definitions.map(({ name }) => name));
  if (names.size !== definitions.length) throw new TypeError("every function has a name of its own");
  return definitions.map((definition) =>
    jsonOperation(`functions/${definition.name}`, {
      resource: definition.plaintext === "none" ? "Enclave" : "Key",
      idempotent: definition.idempotent === true,
      maxBodyBytes: MAX_MESSAGE_REQUEST_BYTES,
      schema: functionRequest,
      run: (request, call) => callFunction(definition, request, { call, options }),
    }),
  );
}

async function callFunction(
  definition: FunctionDefinition<unknown, unknown>,
  request: FunctionRequest,
  { call, options }: { readonly call: Call; readonly options: FunctionsOptions },
): Promise<RoutedAnswer> {
  const input = parseInput(definition, request.input);
  const { plaintext, encryptionContext } = await open(definition, request, { call, options });
  try {
    const { principal } = call;
    const deadlineMs = definition.deadlineMs ?? DEFAULT_DEADLINE_MS;
    return await withinDeadline({ clock: options.clock, deadlineMs, what: definition.name }, async (deadline) => {
      const signal = AbortSignal.any([deadline, call.signal]);
      return runFunction(definition, {
        ...{ input, plaintext, encryptionContext, principal, signal },
        messages: messagesFor({ ...call, signal }, options),
        get kms() {
          return options.kms.operations().own; // asked for when it is used: over the gateway there is none
        },
      });
    });
  } finally {
    wipe(plaintext);
  }
}

const messagesFor = (call: Call, { decryption, encryption }: FunctionsOptions): FunctionMessages => ({
  decrypt: (message, expected = {}) => decryption.message(message, expected, call),
  encrypt: (plaintext, wanted) => encryption.message(plaintext, wanted, call),
});

function parseInput({ input }: FunctionDefinition<unknown, unknown>, value: unknown): unknown {
  try {
    return input.parse(value);
  } catch {
    throw new ServiceError("ERR_MESSAGE_MALFORMED", "input: not of the form that the function takes"); // a schema's own text may repeat it
  }
}

interface Opened {
  readonly plaintext: Uint8Array;
  readonly encryptionContext: Readonly<Record<string, string>>;
}

/** The plaintext that the request is about; who may have the function called on it has been decided on return. */
async function open(
  { plaintext: wanted = "required" }: FunctionDefinition<unknown, unknown>,
  { ciphertext, message, keyId, encryptionContext = {} }: FunctionRequest,
  { call, options: { decryption } }: { readonly call: Call; readonly options: FunctionsOptions },
): Promise<Opened> {
  const given = [ciphertext, message].filter((part) => part !== undefined).length;
  if (given !== (wanted === "none" ? 0 : 1)) {
    const expected = wanted === "none" ? "neither a ciphertext nor a message" : "a ciphertext or a message";
    throw new ServiceError("ERR_MESSAGE_MALFORMED", `expected ${expected}, it has ${given}`);
  }
  if (message !== undefined) {
    if (keyId !== undefined) throw new ServiceError("ERR_MESSAGE_MALFORMED", "keyId: a message names its keys itself");
    return decryption.message(bytesOf(message), encryptionContext, call);
  }
  if (ciphertext !== undefined) {
    const request = { ciphertext, encryptionContext, ...(keyId === undefined ? {} : { keyId }) };
    const { plaintext } = await decryption.ciphertext(request, call);
    return { plaintext, encryptionContext };
  }
  call.authorize({ key: undefined, encryptionContext, bytes: 0 });
  return { plaintext: new Uint8Array(), encryptionContext };
}

/** The function's answer as its schema lets it through. Errors of its own say nothing but their class: a text may hold plaintext. */
async function runFunction(
  { name, run, output }: FunctionDefinition<unknown, unknown>,
  call: FunctionCall<unknown>,
): Promise<RoutedAnswer> {
  try {
    return jsonAnswer({ output: output.parse(await run(call)) }); // in here: its JSON may be of its own making, or none
  } catch (error) {
    throw failureOf(`functions/${name}`, error);
  }
}

/** The texts of errors are the application's, and may repeat plaintext: none of them goes on. */
function failureOf(what: string, error: unknown): ServiceError {
  const known = error instanceof KMSServiceException ? kmsErrorOf(error) : error;
  if (known instanceof ServiceError && known.code === "ERR_FUNCTION_REFUSED") {
    return new ServiceError(known.code, `${what} refused what it was given`);
  }
  if (known instanceof ServiceError && known.code === "ERR_NOT_AUTHORIZED") {
    return new ServiceError(known.code, `${what}: no policy permits what it asked for`);
  }
  if (known instanceof ServiceError && known.code.startsWith("ERR_KMS_")) {
    return new ServiceError(known.code, `${what}: its call to AWS KMS failed`);
  }
  const name = error instanceof Error ? printable(error.name) : "something that is no error";
  return new ServiceError("ERR_FUNCTION_FAILED", `${what} threw ${name}`);
}

/** Names of errors come from the application's code: only what looks like one goes into a message. */
const printable = (name: string): string => (/^[A-Za-z][A-Za-z0-9]{0,63}$/.test(name) ? name : "an error");
