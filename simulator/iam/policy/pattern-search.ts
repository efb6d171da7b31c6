/**
 * The search for a part of a pattern that has holes. A comparison at every place of a text would take as many steps as
 * the part is long. So the places are bits, all set at first; every wanted code unit clears those where it does not
 * stand, 32 in one step, until none is left. It goes by windows of a text, so that a part that stands near costs little.
 */

/** Stands for any code unit. */
export const HOLE = -1;

/** The least places that are looked at together. */
const WINDOW = 256;

/** The leftmost place from `from` on where the units stand, or -1. */
export function findWithHoles(units: Int32Array, text: string, from: number): number {
  const size = Math.max(WINDOW, units.length);
  for (let start = from; start + units.length <= text.length; start += size) {
    const at = findIn(text.slice(start, start + size + units.length - 1), units);
    if (at >= 0) return start + at;
  }
  return -1;
}

/** A set of places, 32 to a word. */
type Places = Uint32Array;

function findIn(window: string, units: Int32Array): number {
  const count = window.length - units.length + 1;
  const left: Places = new Uint32Array(Math.ceil(count / 32)).fill(0xffff_ffff);
  const known = new Map<number, Places>();
  for (const [offset, unit] of units.entries()) {
    if (unit === HOLE) continue;
    const places = known.get(unit) ?? placesOf(unit, window);
    known.set(unit, places);
    if (!keep(left, places, offset)) return -1;
  }
  const at = lowest(left);
  return at < count ? at : -1;
}

function placesOf(unit: number, window: string): Places {
  const places = new Uint32Array(Math.ceil(window.length / 32));
  const character = String.fromCharCode(unit);
  for (let at = window.indexOf(character); at >= 0; at = window.indexOf(character, at + 1)) {
    places[at >>> 5] = (places[at >>> 5] ?? 0) | (1 << (at & 31));
  }
  return places;
}

/** Keeps of `left` what is in `places`, `offset` further on. Whether anything is left. */
function keep(left: Places, places: Places, offset: number): boolean {
  const [skip, shift] = [offset >>> 5, offset & 31];
  let any = 0;
  for (let i = 0; i < left.length; i++) {
    const [low, high] = [places[i + skip] ?? 0, places[i + skip + 1] ?? 0];
    const word = (left[i] ?? 0) & ((low >>> shift) | ((high << 1) << (31 - shift)));
    left[i] = word;
    any |= word;
  }
  return any !== 0;
}

/** The lowest place of a set that has one. */
function lowest(places: Places): number {
  const word = places.findIndex((bits) => bits !== 0);
  const bits = places[word] ?? 0;
  return word * 32 + 31 - Math.clz32(bits & -bits);
}
