/**
 * The role's credentials, as the enclave asks for them: taken from the AWS SDK's provider chain (which caches and renews
 * them), checked for their term, and handed over. They are never logged; health and metrics know only when it last worked.
 */
import { ServiceError } from "../shared/errors.js";

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
  readonly expiration?: Date | undefined;
}

/** What the AWS SDK's credential providers are. */
export type CredentialsProvider = () => Promise<AwsCredentials>;

/** The JSON of `GET /credentials`. */
export interface CredentialsDocument {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  /** ISO 8601; absent for credentials without a term. */
  readonly expiration?: string;
}

export interface CredentialsSource {
  /** Time since credentials were last handed over; undefined before the first time. */
  ageSeconds(): number | undefined;
  /** Whether the last attempt failed. */
  readonly failing: boolean;
  /** @throws ServiceError ERR_CREDENTIALS (the chain failed, was too slow, or gave credentials that have expired) */
  take(): Promise<CredentialsDocument>;
}

export function createCredentialsSource(
  provider: CredentialsProvider,
  deadlineMs: number,
  clock: () => Date,
): CredentialsSource {
  let takenAtMs: number | undefined;
  let failing = false;
  return {
    ageSeconds: () => (takenAtMs === undefined ? undefined : (clock().getTime() - takenAtMs) / 1000),
    get failing() {
      return failing;
    },
    async take() {
      try {
        const document = documentOf(await withinDeadline(provider, deadlineMs), clock());
        takenAtMs = clock().getTime();
        failing = false;
        return document;
      } catch (error) {
        failing = true;
        if (error instanceof ServiceError) throw error;
        throw new ServiceError("ERR_CREDENTIALS", "the credential chain failed", { cause: error });
      }
    },
  };
}

async function withinDeadline(provider: CredentialsProvider, deadlineMs: number): Promise<AwsCredentials> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const error = new ServiceError("ERR_CREDENTIALS", `the credential chain did not answer within ${deadlineMs} ms`);
    timer = setTimeout(() => reject(error), deadlineMs);
  });
  try {
    return await Promise.race([provider(), late]);
  } finally {
    clearTimeout(timer);
  }
}

function documentOf(credentials: AwsCredentials, now: Date): CredentialsDocument {
  const { accessKeyId, secretAccessKey, sessionToken, expiration } = credentials;
  if (expiration !== undefined && expiration.getTime() <= now.getTime()) {
    throw new ServiceError("ERR_CREDENTIALS", "the credential chain gave credentials that have expired");
  }
  return {
    accessKeyId,
    secretAccessKey,
    ...(sessionToken === undefined ? {} : { sessionToken }),
    ...(expiration === undefined ? {} : { expiration: expiration.toISOString() }),
  };
}
