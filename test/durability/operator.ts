/** The access key of the administrator, the same over all restarts. */
export const OPERATOR = { accessKeyId: "AKIAOPERATOR", secretAccessKey: "operator" };
