import type { Descriptor } from './descriptor.ts';
import { DigestError, parseDigest, type Digest } from './digest.ts';
import { JsonReader, type Complain } from './_json-reader.ts';
import type { Platform } from './platform.ts';

export function readDescriptor(value: unknown, where: string, complain: Complain): Descriptor {
  const reader = new JsonReader(value, where, complain);
  const urls = reader.strings('urls');
  const annotations = reader.stringMap('annotations');
  const platform = reader.object('platform', (item, at) => readPlatform(item, at, complain));
  const artifactType = reader.optionalString('artifactType');
  const data = reader.optionalString('data');
  return {
    mediaType: reader.string('mediaType'),
    digest: readDigest(reader.string('digest'), `${where}.digest`, complain),
    size: reader.size('size'),
    ...(urls === undefined ? {} : { urls }),
    ...(annotations === undefined ? {} : { annotations }),
    ...(platform === undefined ? {} : { platform }),
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(data === undefined ? {} : { data }),
  };
}

export function readDigest(text: unknown, where: string, complain: Complain): Digest {
  try {
    return parseDigest(typeof text === 'string' ? text : '');
  } catch (error) {
    if (error instanceof DigestError) throw complain(where, `a digest (${error.message})`);
    throw error;
  }
}

/** Reads the five platform fields, which stand in a descriptor as well as in an image config. */
export function readPlatform(value: unknown, where: string, complain: Complain): Platform {
  const reader = new JsonReader(value, where, complain);
  const variant = reader.optionalString('variant');
  const version = reader.optionalString('os.version');
  const features = reader.strings('os.features');
  return {
    os: reader.optionalString('os') ?? '',
    architecture: reader.optionalString('architecture') ?? '',
    ...(variant === undefined ? {} : { variant }),
    ...(version === undefined ? {} : { 'os.version': version }),
    ...(features === undefined ? {} : { 'os.features': features }),
  };
}
