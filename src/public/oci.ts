/** References, digests, platforms, manifests: the nouns of OCI images, without I/O. */
export * from '../oci/digest.ts';
export * from '../oci/media-type.ts';
export * from '../oci/reference.ts';
export * from '../oci/platform.ts';
export * from '../oci/platform-matcher.ts';
export * from '../oci/platform-specifier.ts';
export * from '../oci/host-platform.ts';
export * from '../oci/manifest.ts';
export * from '../oci/manifest-error.ts';
export * from '../oci/image-config.ts';
export * from '../oci/choose-manifest.ts';
export type * from '../oci/descriptor.ts';
