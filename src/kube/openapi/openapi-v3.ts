/** Body of `GET /openapi/v3`: paths with hashed URLs. */
export declare function openApiV3Index(): object;
/** Body of `GET /openapi/v3/<path>`, path such as `api/v1`, `apis/apps/v1`; `undefined` when not served. */
export declare function openApiV3(path: string): Uint8Array | undefined;
/** The hash in the URL, for ETag. */
export declare function openApiV3Hash(path: string): string | undefined;
