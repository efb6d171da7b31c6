/** Stands where a library would load Node's WebCrypto: on a platform that has none there is nothing to fall back to. */
throw new Error("this platform has no WebCrypto (globalThis.crypto)");
