/** What a request says about itself: values by folded condition key. A key that is not there has no value. */
export type ConditionValues = ReadonlyMap<string, readonly string[]>;

/** The name of a condition key as these maps have it: the case of ASCII letters does not count, and no other letter is one. */
export const foldedKey = (name: string): string => name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());

/** The families of keys that have a name in them, and one value for each. */
const SINGLE_VALUED_FAMILIES = [
  "aws:principaltag/",
  "aws:requesttag/",
  "aws:resourcetag/",
  "iam:resourcetag/",
  "kms:encryptioncontext:",
];

/** Whether several values of a folded key come from names that differ only by case. */
export const isSingleValued = (key: string): boolean => SINGLE_VALUED_FAMILIES.some((family) => key.startsWith(family));
