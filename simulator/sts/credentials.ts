/** Credentials as STS hands them out. */
import type { SessionCredentials } from "../iam/access-keys.js";
import type { XmlContent } from "./xml.js";

export const credentialsOf = (credentials: SessionCredentials): XmlContent => ({
  AccessKeyId: credentials.accessKeyId,
  SecretAccessKey: credentials.secretAccessKey,
  SessionToken: credentials.sessionToken,
  Expiration: credentials.expiration,
});
