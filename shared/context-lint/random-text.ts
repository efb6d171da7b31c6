/**
 * Values that look like 240 random bits or more in base64: keys, session ids, signatures. Nothing proves that such a value
 * is a secret, so this is a lesser warning. Hexadecimal is left alone, since digests and ids are written so; UUIDs, ULIDs,
 * names, paths and ARNs are shorter or change less between the kinds of their characters.
 */

/** 240 bits in base64; a secret access key of AWS has as many. */
const MIN_LENGTH = 40;
const MIN_DISTINCT = 20;
/** Of random base64 63 in 100 neighbours are of different kinds, of names in camel case some 25. */
const MIN_CHANGES = 0.42;

/** Whether `text` is all base64, in either alphabet, and changes as random bytes do. */
export function looksRandom(text: string): boolean {
  if (text.length < MIN_LENGTH || !/^[A-Za-z0-9+/_-]+={0,2}$/.test(text) || /^[0-9a-f-]+$/i.test(text)) return false;
  return new Set(text).size >= MIN_DISTINCT && changesOf(text) >= MIN_CHANGES * (text.length - 1);
}

/** How often two neighbours are of different kinds: upper case, lower case, digits, others. */
function changesOf(text: string): number {
  const kinds = [...text].map(kindOf);
  return kinds.filter((kind, index) => index > 0 && kind !== kinds[index - 1]).length;
}

function kindOf(character: string): "upper" | "lower" | "digit" | "other" {
  if (character >= "A" && character <= "Z") return "upper";
  if (character >= "a" && character <= "z") return "lower";
  return character >= "0" && character <= "9" ? "digit" : "other";
}
