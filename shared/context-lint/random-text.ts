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
/** Of random base64 26 in 64 characters are of either case, and 2 in 64 no letters or digits; between words there are more. */
const MIN_OF_EITHER_CASE = 0.15;
const MAX_OTHERS = 0.15;

/** Whether `text` is all base64, in either alphabet, and its characters are as mixed as those of random bytes. */
export function looksRandom(text: string): boolean {
  if (text.length < MIN_LENGTH || !/^[A-Za-z0-9+/_-]+={0,2}$/.test(text)) return false;
  const kinds = [...text].map(kindOf);
  const share = (kind: Kind): number => kinds.filter((one) => one === kind).length / kinds.length;
  const changes = kinds.filter((kind, index) => index > 0 && kind !== kinds[index - 1]).length;
  return (
    changes >= MIN_CHANGES * (text.length - 1) &&
    Math.min(share("upper"), share("lower")) >= MIN_OF_EITHER_CASE &&
    share("other") <= MAX_OTHERS &&
    new Set(text).size >= MIN_DISTINCT
  );
}

type Kind = "upper" | "lower" | "digit" | "other";

function kindOf(character: string): Kind {
  if (character >= "A" && character <= "Z") return "upper";
  if (character >= "a" && character <= "z") return "lower";
  return character >= "0" && character <= "9" ? "digit" : "other";
}
