import { OCI_MANIFEST, type SendOptions, type ServedRegistry } from '../support/serve-registry.ts';

/** Registries that rows send to. */
export interface Setting {
  /** Open to everybody. */
  readonly open: ServedRegistry;
  /** Asks for credentials; `alice` is a guest of the project `p`. */
  readonly guarded: ServedRegistry;
  /** Deletes nothing and takes no sparse index. */
  readonly strict: ServedRegistry;
  /** Digest of the image `app:v1`, whose layer is `layer`. */
  readonly image: string;
}

export type SendRow = (setting: Setting) => Promise<Response>;

/** Endpoint as the specification numbers it, or `other`; what is asked for; the answer's status and error code; how. */
export type StatusRow = readonly [
  end: string,
  name: string,
  status: number,
  code: string | undefined,
  send: SendRow,
];

/** A digest that nothing has. */
export const NONE = `sha256:${'0'.repeat(64)}`;
export const UNKNOWN_UPLOAD = '/v2/app/blobs/uploads/00000000-0000-4000-8000-000000000000';
export const MANIFEST = { headers: { 'content-type': OCI_MANIFEST } };

export const get =
  (path: string): SendRow =>
  ({ open }) =>
    open.send('GET', path);
export const head =
  (path: string): SendRow =>
  ({ open }) =>
    open.send('HEAD', path);
export const send =
  (method: string, path: string, options?: SendOptions): SendRow =>
  ({ open }) =>
    open.send(method, path, options);

/** Begins an upload, and sends what `next` says to it. */
export const upload =
  (method: string, query: string, options?: SendOptions): SendRow =>
  async ({ open }) => {
    const begun = await open.send('POST', '/v2/app/blobs/uploads/');
    return open.send(method, `${begun.headers.get('location')}${query}`, options);
  };

export const pushManifest = (body: string, options: SendOptions = MANIFEST, reference = 'x'): SendRow =>
  send('PUT', `/v2/app/manifests/${reference}`, { ...options, body });
