/**
 * Values that are personal data by their own form: card numbers, IBANs, e-mail addresses, telephone numbers, US social
 * security numbers. Where a form has check digits they are checked, so that a record number is not taken for a card.
 * Numbers inside longer words, UUIDs and decimal fractions are left alone.
 *
 * All patterns are linear: a match starts only where its first kind of characters does, and repetitions are bounded.
 */

/** What kind of personal data `text` holds, if it holds any. */
export const personalDataIn = (text: string): string | undefined => FORMS.find(([, isIn]) => isIn(text))?.[0];

const FORMS: readonly (readonly [name: string, isIn: (text: string) => boolean])[] = [
  ["an e-mail address", hasEmailAddress],
  ["a card number", hasCardNumber],
  ["an IBAN", hasIban],
  ["a US social security number", hasSocialSecurityNumber],
  ["a telephone number", hasTelephoneNumber],
];

/** RFC 5321 §4.5.3.1.1 bounds the local part; a domain is told from a host name by its last label. */
const EMAIL_ADDRESS =
  /(?<![\w.%+-])[\w.%+-]{1,64}@((?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24})(?![\w-]|\.[A-Za-z0-9]|:[^\s/]{0,64}\/)/g;
/** Accounts of software, which have addresses of this form: Google Cloud's. */
const OF_SOFTWARE = /\.gserviceaccount\.com$/i;

function hasEmailAddress(text: string): boolean {
  for (const [, domain = ""] of text.matchAll(EMAIL_ADDRESS)) if (!OF_SOFTWARE.test(domain)) return true;
  return false;
}

const NUMBER_BEFORE = "(?<![A-Za-z0-9-]|\\d\\.)";
const NUMBER_BEHIND = "(?![A-Za-z0-9-]|\\.\\d)";

/** In one piece, or in the groups that are printed on cards. */
const CARD_NUMBER = new RegExp(
  `${NUMBER_BEFORE}(?:\\d{14,16}|\\d{19}|\\d{4}([ -])\\d{4}\\1\\d{4}\\1\\d{4}|\\d{4}([ -])\\d{6}\\2\\d{4,5})${NUMBER_BEHIND}`,
  "g",
);

/** Issuer identification numbers (ISO/IEC 7812) with the lengths that their schemes use. */
const ISSUERS: readonly RegExp[] = [
  /^4(?:\d{15}|\d{18})$/,
  /^(?:5[1-5]\d{2}|222[1-9]|22[3-9]\d|2[3-6]\d{2}|27[01]\d|2720)\d{12}$/,
  /^3[47]\d{13}$/,
  /^3(?:0[0-5]|[68]\d)\d{11}$/,
  /^(?:6011|64[4-9]\d|65\d{2}|62\d{2})\d{12}$/,
  /^35(?:2[89]|[3-8]\d)\d{12}$/,
];

function hasCardNumber(text: string): boolean {
  for (const [match] of text.matchAll(CARD_NUMBER)) {
    const digits = match.replace(/\D/g, "");
    if (ISSUERS.some((issuer) => issuer.test(digits)) && fulfilsLuhn(digits)) return true;
  }
  return false;
}

/** ISO/IEC 7812-1, annex B. */
function fulfilsLuhn(digits: string): boolean {
  const sum = [...digits].reverse().reduce((total, digit, index) => {
    const value = Number(digit) * (index % 2 === 0 ? 1 : 2);
    return total + (value > 9 ? value - 9 : value);
  }, 0);
  return sum % 10 === 0;
}

/** The lengths of IBANs by country (IBAN registry of ISO 13616). */
const IBAN_LENGTHS: ReadonlyMap<string, number> = new Map(
  (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 ES24 FI18 " +
    "FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 " +
    "LU20 LV21 LY25 MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22 SA24 SC31 SE24 " +
    "SI19 SK24 SM27 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20"
  )
    .split(" ")
    .map((entry) => [entry.slice(0, 2), Number(entry.slice(2))]),
);
const IBAN =
  /(?<![A-Za-z0-9-])[A-Z]{2}\d{2}(?:[A-Z0-9]{11,30}|(?: [A-Z0-9]{4}){2,7}(?: [A-Z0-9]{1,3})?)(?![A-Za-z0-9-])/g;

function hasIban(text: string): boolean {
  for (const [match] of text.matchAll(IBAN)) {
    const compact = match.replaceAll(" ", "");
    if (IBAN_LENGTHS.get(compact.slice(0, 2)) === compact.length && remainderOf97(compact) === 1) return true;
  }
  return false;
}

/** ISO/IEC 7064, MOD 97-10, with the first four characters behind the others and letters as 10 to 35. */
function remainderOf97(iban: string): number {
  const moved = iban.slice(4) + iban.slice(0, 4);
  return [...moved].reduce((remainder, character) => {
    const value = Number.parseInt(character, 36);
    return (remainder * (value > 9 ? 100 : 10) + value) % 97;
  }, 0);
}

/** Numbers that were never given out are left out: https://www.ssa.gov/employer/randomization.html */
const SOCIAL_SECURITY_NUMBER = new RegExp(
  `${NUMBER_BEFORE}(?!000|666|9)\\d{3}-(?!00)\\d{2}-(?!0000)\\d{4}${NUMBER_BEHIND}`,
);

function hasSocialSecurityNumber(text: string): boolean {
  return SOCIAL_SECURITY_NUMBER.test(text);
}

/** ITU-T E.164 with its plus sign, or as North America writes it. */
const TELEPHONE_NUMBERS: readonly RegExp[] = [
  /(?<![\w+])\+[1-9](?:[ -]?\d){8,14}(?![\w.+-])/,
  /(?<![\w+-])\(?[2-9]\d{2}(?:\) ?|[-])[2-9]\d{2}-\d{4}(?![\w-])/,
];

function hasTelephoneNumber(text: string): boolean {
  return TELEPHONE_NUMBERS.some((form) => form.test(text));
}
