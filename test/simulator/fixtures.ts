/** A clock that stands until it is told, and the simulated platform's parts at that time. */

import type { NitroPki, NitroPkiOptions } from "../../simulator/pki/nitro-pki.js";
import { createNitroPki } from "../../simulator/pki/nitro-pki.js";

export const INSTANCE_ID = "i-0123456789abcdef0";
export const MODULE_ID = `${INSTANCE_ID}-enc019b5640fdf630d6`;
export const NOW = new Date("2026-11-23T10:00:00.250Z");

export const SECOND = 1000;
export const HOUR = 3600 * SECOND;
export const DAY = 24 * HOUR;

export interface SetClock {
  (): Date;
  advance(ms: number): void;
}

export function clockAt(start: Date = NOW): SetClock {
  let now = start.getTime();
  return Object.assign(() => new Date(now), {
    advance: (ms: number) => {
      now += ms;
    },
  });
}

export const testPki = (options: Partial<NitroPkiOptions> = {}): Promise<NitroPki> =>
  createNitroPki({ clock: () => NOW, ...options });

/** The five certificates of a fresh leaf, root first. */
export async function chainOf(pki: NitroPki): Promise<readonly Uint8Array[]> {
  const leaf = await pki.issueInstance(INSTANCE_ID).issueLeaf(MODULE_ID);
  return [...leaf.caBundle, leaf.certificateDer];
}
