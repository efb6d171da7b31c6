/** In the image this stands for @aws-sdk/credential-provider-node: the enclave is given its credentials, and looks for none. */
export const defaultProvider = () => async () => {
  throw new Error("expected credentials to be given, an enclave looks for none");
};
