/**
 * The three channels to an enclave, by a function that sends back its input and calls no KMS: plain through the parent,
 * sealed, and attested TLS. Client, parent and enclave are processes of their own, as in a deployment; token, policies
 * and function are the same on all three, so what differs is the channel.
 *
 * Each is measured beside the bare cryptography under it (bare-channels.ts), which knows nothing of HTTP, the parent,
 * tokens and policies, and beside the plain channel, which has all of these. Runs of all stand side by side, and each
 * round has its ratios: whatever else the machine does meets all of a round.
 */
import { utf8 } from "../shared/bytes.js";
import type { BareExchange } from "./bare-channels.js";
import { bareHpke, bareTls } from "./bare-channels.js";
import type { Clients } from "./channel-clients.js";
import { connectClients, timesToConnect } from "./channel-clients.js";
import type { Row } from "./table.js";
import { median } from "./table.js";
import type { Load } from "./throughput.js";
import { throughput } from "./throughput.js";

const SIZES = [
  { size: "1 KiB", bytes: 1_024 },
  { size: "16 KiB", bytes: 16 * 1_024 },
];

interface Effort {
  readonly rounds: number;
  /** Of one contender in one round. */
  readonly loads: readonly Load[];
  readonly connections: number;
}

const FULL: Effort = {
  rounds: 15,
  loads: [
    { calls: 100, concurrent: 1 },
    { calls: 640, concurrent: 32 },
  ],
  connections: 30,
};
const SMOKE: Effort = {
  rounds: 2,
  loads: [
    { calls: 20, concurrent: 1 },
    { calls: 64, concurrent: 32 },
  ],
  connections: 3,
};

/** What is measured side by side; figures of one contender are calls per second, one for each round. */
interface Contenders<T> {
  readonly hpke: T;
  readonly bareTls: T;
  readonly plain: T;
  readonly sealed: T;
  readonly tls: T;
}

type Call = () => Promise<void>;

export async function run({ smoke }: { readonly smoke: boolean }): Promise<Row[]> {
  const { rounds, loads, connections } = smoke ? SMOKE : FULL;
  const clients = await connectClients();
  const echo = await bareTls();
  try {
    const bare = { hpke: await bareHpke(), tls: echo.exchange };
    const rows: Row[] = [];
    for (const { size, bytes } of SIZES) {
      const contenders = contendersOf(clients, bare, "x".repeat(bytes));
      for (const load of loads) {
        rows.push(...rowsOf(`${size}, ${load.concurrent} concurrent`, await compare(contenders, load, rounds)));
      }
    }
    return [...rows, ...connectRows(await timesToConnect(clients, connections))];
  } finally {
    await echo.close();
    await clients.close();
  }
}

function contendersOf(
  { plain, sealed, tls }: Clients,
  bare: { readonly hpke: BareExchange; readonly tls: BareExchange },
  data: string,
): Contenders<Call> {
  const message = utf8(JSON.stringify({ input: { data } }));
  return {
    hpke: () => bare.hpke(message),
    bareTls: () => bare.tls(message),
    plain: async () => assertEcho(await plain("echo", { data }), data),
    sealed: async () => assertEcho(await sealed.callFunction("echo", { input: { data } }), data),
    tls: async () => assertEcho(await tls.callFunction("echo", { input: { data } }), data),
  };
}

function assertEcho(output: unknown, data: string): void {
  const isEcho = typeof output === "object" && output !== null && "data" in output && output.data === data;
  if (!isEcho) throw new Error("the function's output is not what was sent");
}

/** Rounds in which each contender has its turn, backwards every other time; one round more warms up and does not count. */
async function compare(contenders: Contenders<Call>, load: Load, rounds: number): Promise<Contenders<number[]>> {
  const figures: Contenders<number[]> = { hpke: [], bareTls: [], plain: [], sealed: [], tls: [] };
  const order = ["hpke", "bareTls", "plain", "sealed", "tls"] as const;
  for (let round = -1; round < rounds; round++) {
    for (const name of round % 2 === 0 ? order : [...order].reverse()) {
      const perSecond = await throughput(contenders[name], load);
      if (round >= 0) figures[name].push(perSecond);
    }
  }
  return figures;
}

function rowsOf(what: string, { hpke, bareTls, plain, sealed, tls }: Contenders<number[]>): Row[] {
  const row = (name: string, figures: readonly number[]): Row => ({
    name: `${name}, ${what}`,
    median: median(figures),
    unit: "requests/s",
  });
  const beside = (figures: readonly number[], floor: readonly number[], peer: string) => ({
    ratio: ratioOf(figures, floor),
    peer,
    second: { ratio: ratioOf(figures, plain), peer: "plain" },
  });
  return [
    row("bare HPKE", hpke),
    row("bare TLS 1.3", bareTls),
    row("plain", plain),
    { ...row("sealed", sealed), ...beside(sealed, hpke, "bare HPKE") },
    { ...row("attested TLS", tls), ...beside(tls, bareTls, "bare TLS 1.3") },
  ];
}

const ratioOf = (figures: readonly number[], peer: readonly number[]): number =>
  median(figures.map((figure, round) => figure / (peer[round] ?? Number.NaN)));

/** What it takes until the first request can be sent, each time from nothing: no connection, no certificate known. */
function connectRows({ document, sealed, tls }: Awaited<ReturnType<typeof timesToConnect>>): Row[] {
  const peer = "a document alone";
  const row = (name: string, times: readonly number[]): Row => ({ name, median: median(times), unit: "ms" });
  return [
    row("plain: connect, get a document, close", document),
    { ...row("sealed: connect, attest, close", sealed), ratio: ratioOf(document, sealed), peer },
    { ...row("attested TLS: connect, attest, close", tls), ratio: ratioOf(document, tls), peer },
  ];
}
