/** Media type under which old kubectl asks for the protobuf form of `/openapi/v2`. */
export declare const openApiV2ProtobufType: 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf';
/** Body of `GET /openapi/v2` as JSON text. Made on the first call, not kept. */
export declare function openApiV2Json(): Uint8Array;
/** Body of `GET /openapi/v2` in gnostic's protobuf form. */
export declare function openApiV2Protobuf(): Uint8Array;
