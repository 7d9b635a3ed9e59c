import type { AuthConfig, FilesystemUsage, Image, ImageSpec } from '../pull/image-service.ts';

/* Messages of the image service as they come off the wire and go onto it: 64-bit numbers are texts, absent messages null. */

export interface WireImageSpec {
  readonly image?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly userSpecifiedImage?: string;
  readonly runtimeHandler?: string;
  readonly imageRef?: string;
}

export interface WireImage {
  readonly id: string;
  readonly repoTags: readonly string[];
  readonly repoDigests: readonly string[];
  readonly size: string;
  readonly uid: { readonly value: string } | null;
  readonly username: string;
  readonly pinned: boolean;
}

export interface WireFilesystemUsage {
  readonly timestamp: string;
  readonly fsId: { readonly mountpoint: string } | null;
  readonly usedBytes: { readonly value: string } | null;
  readonly inodesUsed: { readonly value: string } | null;
}

/** Reads a spec; one that is absent names nothing. */
export function specFromWire(wire: WireImageSpec | null | undefined): ImageSpec {
  const { image = '', annotations = {}, userSpecifiedImage, runtimeHandler, imageRef } = wire ?? {};
  return {
    image,
    annotations,
    ...given('userSpecifiedImage', userSpecifiedImage),
    ...given('runtimeHandler', runtimeHandler),
    ...given('imageRef', imageRef),
  };
}

export function imageToWire(image: Image): WireImage {
  return {
    id: image.id,
    repoTags: image.repoTags,
    repoDigests: image.repoDigests,
    size: String(image.size),
    uid: image.uid === undefined ? null : { value: String(image.uid) },
    username: image.username ?? '',
    pinned: image.pinned,
  };
}

export function imageFromWire(wire: WireImage): Image {
  return {
    id: wire.id,
    repoTags: wire.repoTags,
    repoDigests: wire.repoDigests,
    size: Number(wire.size),
    ...(wire.uid === null ? {} : { uid: Number(wire.uid.value) }),
    ...given('username', wire.username),
    pinned: wire.pinned,
  };
}

/** Reads a credential; undefined when none came (rule 12.19 says which fields count). */
export function authFromWire(
  wire: Readonly<Record<string, string>> | null | undefined,
): AuthConfig | undefined {
  if (wire === null || wire === undefined) return undefined;
  return {
    ...given('username', wire['username']),
    ...given('password', wire['password']),
    ...given('auth', wire['auth']),
    ...given('serverAddress', wire['serverAddress']),
    ...given('identityToken', wire['identityToken']),
    ...given('registryToken', wire['registryToken']),
  };
}

/** Writes a credential without the note where it came from, which is no part of CRI. */
export function authToWire(auth: AuthConfig | undefined): object | null {
  if (auth === undefined) return null;
  const { source: _source, ...wire } = auth;
  return wire;
}

export function usageToWire(usage: FilesystemUsage): WireFilesystemUsage {
  return {
    timestamp: String(usage.timestamp),
    fsId: { mountpoint: usage.mountpoint },
    usedBytes: { value: String(usage.usedBytes) },
    inodesUsed: { value: String(usage.inodesUsed) },
  };
}

export function usageFromWire(wire: WireFilesystemUsage): FilesystemUsage {
  return {
    timestamp: BigInt(wire.timestamp),
    mountpoint: wire.fsId?.mountpoint ?? '',
    usedBytes: Number(wire.usedBytes?.value ?? 0),
    inodesUsed: Number(wire.inodesUsed?.value ?? 0),
  };
}

/** Keeps a text only when it says something: on the wire, absent and empty are the same. */
function given<K extends string>(key: K, value: string | undefined): { readonly [key in K]?: string } {
  return (value === undefined || value === '' ? {} : { [key]: value }) as { readonly [key in K]?: string };
}
