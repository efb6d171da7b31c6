/** Where the simulator gets the time. Injected everywhere, so that a test can let three hours pass in no time. */
export type Clock = () => Date;

/** The machine's clock. */
export const systemClock: Clock = () => new Date();
