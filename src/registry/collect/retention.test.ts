import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { digestOf, hexOf, type Digest } from '../../oci/digest.ts';
import type { RetainedManifest, TagRecord } from '../metadata/collection-index.ts';
import { NO_POLICY, type Policy } from '../policy.ts';
import { decideRetention } from './retention.ts';

const DAY = 24 * 3_600_000;
const NOW = 100 * DAY;

const digest = (name: string): Digest => digestOf(Buffer.from(name));
const manifest = (
  name: string,
  ageDays: number,
  more: { subject?: string; children?: string[] } = {},
): RetainedManifest => ({
  digest: digest(name),
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  size: 1,
  renewedAt: NOW - ageDays * DAY,
  children: (more.children ?? []).map(digest),
  ...(more.subject === undefined ? {} : { subject: digest(more.subject) }),
});
const tag = (name: string, of: string, ageDays: number): TagRecord => ({
  name,
  digest: digest(of),
  updatedAt: NOW - ageDays * DAY,
});
/** The tag under which cosign keeps what belongs to an image. */
const signatureTag = (of: string): string => `sha256-${hexOf(digest(of))}.sig`;

function removed(
  content: { tags: readonly TagRecord[]; manifests: readonly RetainedManifest[] },
  policy: Partial<Policy>,
): string[] {
  const facts = { policy: { ...NO_POLICY, ...policy }, inUse: new Set<string>(), now: NOW };
  const decision = decideRetention({ repository: 'p/x', ...content }, facts);
  const names = new Map(content.manifests.map((one) => [one.digest, one]));
  return [
    ...decision.tags.filter(({ keep }) => !keep).map((one) => one.tag.name),
    ...decision.manifests.filter(({ keep }) => !keep).map((one) => names.get(one.manifest.digest)?.digest),
  ].map(String);
}

const all = { repositories: '*', tags: '*' };

describe('retention', () => {
  test('keeps what belongs to an untagged manifest that is still young, and its children', () => {
    const manifests = [
      manifest('index', 1, { children: ['child'] }),
      manifest('child', 90),
      manifest('signature', 90, { subject: 'child' }),
      manifest('lone', 90),
    ];
    assert.deepEqual(removed({ tags: [], manifests }, { untaggedDays: 14 }), [digest('lone')]);
  });

  test('keeps a signature that is kept under a tag as long as its image, and its own signature with it', () => {
    const tags = [
      tag('v1', 'old', 90),
      tag('v2', 'new', 60),
      tag(signatureTag('old'), 'old signature', 90),
      tag(signatureTag('new'), 'new signature', 90),
      tag(signatureTag('new signature'), 'second signature', 90),
    ];
    const manifests = ['old', 'new', 'old signature', 'new signature', 'second signature'].map((name) =>
      manifest(name, 90),
    );
    const retention = [{ ...all, keepNewest: 1 }];
    assert.deepEqual(removed({ tags, manifests }, { retention, untaggedDays: 30 }), [
      'v1',
      signatureTag('old'),
      digest('old'),
      digest('old signature'),
    ]);
  });

  test('does not count signatures among the newest', () => {
    const tags = [
      tag('v1', 'one', 9),
      tag('v2', 'two', 8),
      tag(signatureTag('one'), 'signature of one', 2),
      tag(signatureTag('two'), 'signature of two', 1),
      tag(signatureTag('gone'), 'signature of something gone', 1),
    ];
    const manifests = ['one', 'two', 'signature of one', 'signature of two'].map((name) => manifest(name, 9));
    assert.deepEqual(removed({ tags, manifests }, { retention: [{ ...all, keepNewest: 2 }] }), []);
  });

  test('a signature of an image that stays untagged stays, where nothing untagged is removed', () => {
    const tags = [tag(signatureTag('image'), 'signature', 90), tag('v1', 'image', 90)];
    const manifests = [manifest('image', 90), manifest('signature', 90)];
    assert.deepEqual(removed({ tags, manifests }, { retention: [{ ...all, keepDays: 1 }] }), ['v1']);
  });

  test('a signature of an image that nobody has goes by the rules like any other tag', () => {
    const tags = [tag(signatureTag('gone'), 'signature', 90), tag('v1', 'image', 1)];
    const manifests = [manifest('image', 1), manifest('signature', 90)];
    const retention = [{ ...all, keepDays: 30 }];
    assert.deepEqual(removed({ tags, manifests }, { retention }), [signatureTag('gone')]);
  });
});
