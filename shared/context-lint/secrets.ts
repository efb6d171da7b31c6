/**
 * Values that are secrets by their own form: private keys, tokens, credentials of cloud and software vendors, URLs with a
 * password, password hashes. Each form has a prefix that nothing else has; what merely looks random is random-text.ts.
 *
 * All patterns here are linear: they start at a fixed prefix, every repetition is bounded or followed by a character that
 * it cannot take.
 */

/** Forms of secrets, and what they are called in a warning. */
const FORMS: readonly (readonly [form: RegExp, name: string])[] = [
  // RFC 7468 §10, §11; OpenSSH, PGP and age write likewise
  [/-----BEGIN [A-Z ]{0,32}PRIVATE KEY/, "a private key"],
  [/\bAGE-SECRET-KEY-1/, "a private key"],
  // RFC 7519 §3: two or more base64url parts, the first of which is JSON and so begins with {"
  [/(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}\./, "a JSON Web Token"],
  // RFC 6750 §2.1, RFC 7617 §2, RFC 9449 §7.1
  [/^(?:Bearer|Basic|DPoP) [\w.~+/=-]{8,}$/i, "an authorization header"],
  // IAM User Guide, "Understanding unique ID prefixes"
  [/(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z2-7]{16}(?![A-Za-z0-9])/, "an AWS access key"],
  [/(?<!\w)(?:gh[oprsu]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{22})/, "a GitHub token"],
  [/(?<!\w)glpat-[\w-]{20}/, "a GitLab token"],
  [/(?<!\w)xox[abeoprs]-[\w-]{10}/, "a Slack token"],
  [/(?<!\w)[rs]k_(?:live|test)_[A-Za-z0-9]{16}/, "a Stripe key"],
  [/(?<!\w)AIza[\w-]{35}(?![\w-])/, "a Google API key"],
  [/(?<!\w)npm_[A-Za-z0-9]{36}(?!\w)/, "an npm token"],
  // RFC 3986 §3.2.1: userinfo with a password
  [/:\/\/[^\s/?#:@]{0,128}:[^\s/?#@]{1,128}@/, "a URL with a password"],
  // crypt(5)
  [/^\$(?:2[abxy]|5|6|7|y|argon2(?:id|i|d)|scrypt)\$/, "a password hash"],
];

/** What kind of secret `text` holds, if it holds one. */
export const secretIn = (text: string): string | undefined => FORMS.find(([form]) => form.test(text))?.[1];
