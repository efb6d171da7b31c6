/** Who asks: what a token that has been verified says of its bearer. Only tokens.ts makes one. */

export interface Principal {
  /** `NAME/SUBJECT`: the issuer's name in the configuration and the token's `sub`. Names have no slash, so it is unambiguous. */
  readonly id: string;
  /** The issuer's name in the configuration. */
  readonly issuer: string;
  /** The token's `sub`. */
  readonly subject: string;
  /** The verified claims, as they came. */
  readonly claims: Readonly<Record<string, unknown>>;
}

/** What a request brings to show who asks. */
export interface Credentials {
  /** The value of its `authorization` header. */
  readonly authorization: string | undefined;
  /** The value of its `dpop` header (RFC 9449 §4.1). */
  readonly dpop: string | undefined;
  readonly method: string;
  /** Path without query. */
  readonly path: string;
}
