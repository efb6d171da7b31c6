/**
 * Names of pairs that say what their values are. A name is taken apart into words (`userEmail`, `user_email` and
 * `user-email` are one), and its last words decide: `secretArn` and `email_hash` name something else than a secret or an
 * address.
 */

const SECRETS: ReadonlySet<string> = new Set([
  ...["password", "passwd", "pwd", "passphrase", "passcode", "secret", "token", "credential", "credentials", "pin"],
  ...["api key", "apikey", "private key", "secret key", "access key", "jwt", "cookie", "otp", "cvv", "cvc", "mnemonic"],
  ...["seed phrase", "authorization"],
]);

const PERSONAL_DATA: ReadonlySet<string> = new Set([
  ...["email", "e mail", "email address", "mail address", "phone", "phone number", "telephone", "mobile number"],
  ...[
    "ssn",
    "social security number",
    "social security",
    "date of birth",
    "birth date",
    "birthdate",
    "birthday",
    "dob",
  ],
  ...["first name", "firstname", "last name", "lastname", "full name", "given name", "family name", "surname"],
  ...["passport", "passport number", "driver license", "drivers license", "national id", "tax id", "iban", "pan"],
  ...["card number", "credit card", "credit card number", "home address", "street address", "postal address"],
]);

const MAX_WORDS = 3;

/** What a value under this name is said to be. */
export function meaningOf(name: string): "secret" | "personal data" | undefined {
  const words = wordsOf(name);
  const endings = Array.from({ length: MAX_WORDS }, (_, index) => words.slice(-index - 1).join(" "));
  if (endings.some((ending) => SECRETS.has(ending))) return "secret";
  return endings.some((ending) => PERSONAL_DATA.has(ending)) ? "personal data" : undefined;
}

/** The last words of a name, in lower case. */
const wordsOf = (name: string): readonly string[] =>
  name
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .replace(/([A-Z])([A-Z][a-z])/g, "$1 $2")
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== "");

/** Whether a value can be none of what its name says: nothing, a yes or no, or the ARN of it. */
export const saysNothing = (value: string): boolean =>
  value === "" || /^(?:true|false|yes|no|0|1|arn:.*)$/is.test(value);

/** Whether a value stands for personal data without being it: a UUID or a digest. */
export const isPseudonym = (value: string): boolean =>
  /^(?:[0-9a-f]{32,128}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i.test(value);
