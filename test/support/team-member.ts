import assert from 'node:assert/strict';
import { manifestOf, OCI_INDEX, OCI_MANIFEST, sha256 } from './serve-registry.ts';

/** An account that works with a registry as real clients do: by token, HEAD before push, mount before upload. */
export class TeamMember {
  readonly #url: string;
  readonly #account: string;
  #password: string;

  constructor(url: string, account: string, password: string) {
    this.#url = url;
    this.#account = account;
    this.#password = password;
  }

  /** Uses another password from now on. */
  changeTo(password: string): void {
    this.#password = password;
  }

  /** Sends with a token for `scope`, or with the password when there is none. */
  async send(scope: string, method: string, path: string, init: RequestInit = {}): Promise<Response> {
    const basic = `Basic ${Buffer.from(`${this.#account}:${this.#password}`).toString('base64')}`;
    let authorization = basic;
    if (scope !== '') {
      const query = new URLSearchParams({ service: 'drayage', scope }).toString();
      const issued = await fetch(`${this.#url}/token?${query}`, { headers: { authorization: basic } });
      if (issued.status !== 200) return issued;
      authorization = `Bearer ${((await issued.json()) as { token: string }).token}`;
    }
    const headers = { ...(init.headers as Record<string, string> | undefined), authorization };
    return fetch(this.#url + path, { ...init, method, headers });
  }

  /** Pushes an image; layers that `from` has are mounted. Returns its manifest's digest, or the status of the refusal. */
  async push(
    repository: string,
    tag: string,
    layers: readonly string[],
    options: { from?: string; extra?: object } = {},
  ): Promise<string | number> {
    const config = JSON.stringify({ architecture: 'amd64', os: 'linux', tag });
    const body = JSON.stringify(manifestOf(config, layers, options.extra));
    // What was there at HEAD may be collected before the manifest comes: clients push it again then.
    for (let attempt = 0; ; attempt++) {
      for (const content of [config, ...layers]) {
        const status = await this.#pushBlob(repository, content, options.from);
        if (status >= 400) return status;
      }
      const put = await this.#put(repository, tag, body, OCI_MANIFEST);
      if (put.status === 201) return sha256(body);
      const text = await put.text();
      if (attempt === 2 || !text.includes('MANIFEST_BLOB_UNKNOWN')) return put.status;
    }
  }

  /** Pushes an index of manifests that are there. */
  async pushIndex(repository: string, tag: string, manifests: readonly object[]): Promise<string | number> {
    const body = JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests });
    const put = await this.#put(repository, tag, body, OCI_INDEX);
    await put.arrayBuffer();
    return put.status === 201 ? sha256(body) : put.status;
  }

  /** Pulls what a reference names, with children and blobs, and checks every byte. Returns its digest; a status when refused. */
  async pull(repository: string, reference: string): Promise<string | number> {
    const scope = `repository:${repository}:pull`;
    const got = await this.send(scope, 'GET', `/v2/${repository}/manifests/${reference}`);
    const body = await got.text();
    if (got.status !== 200) return got.status;
    assert.equal(sha256(body), got.headers.get('docker-content-digest'));
    const {
      config,
      layers = [],
      manifests = [],
    } = JSON.parse(body) as {
      config?: { digest: string };
      layers?: { digest: string }[];
      manifests?: { digest: string }[];
    };
    for (const { digest } of manifests) assert.equal(await this.pull(repository, digest), digest);
    for (const { digest } of config === undefined ? [] : [config, ...layers]) {
      const blob = await this.send(scope, 'GET', `/v2/${repository}/blobs/${digest}`);
      const bytes = new Uint8Array(await blob.arrayBuffer());
      assert.equal(blob.status, 200, `${repository}:${reference} ${digest}`);
      assert.equal(sha256(bytes), digest);
    }
    return sha256(body);
  }

  async #put(repository: string, tag: string, body: string, type: string): Promise<Response> {
    const scope = `repository:${repository}:pull,push`;
    const headers = { 'content-type': type };
    return this.send(scope, 'PUT', `/v2/${repository}/manifests/${tag}`, { body, headers });
  }

  async #pushBlob(repository: string, content: string, from: string | undefined): Promise<number> {
    const scope = `repository:${repository}:pull,push${from === undefined ? '' : ` repository:${from}:pull`}`;
    const digest = sha256(content);
    const blobs = `/v2/${repository}/blobs`;
    const seen = await this.send(scope, 'HEAD', `${blobs}/${digest}`);
    if (seen.status === 200 || seen.status === 401) return seen.status;
    const mount = from === undefined ? '' : `?mount=${digest}&from=${from}`;
    const begun = await this.send(scope, 'POST', `${blobs}/uploads/${mount}`);
    await begun.arrayBuffer();
    if (begun.status !== 202) return begun.status;
    const location = begun.headers.get('location') ?? '';
    const half = Math.floor(content.length / 2);
    const patched = await this.send(scope, 'PATCH', location, { body: content.slice(0, half) });
    await patched.arrayBuffer();
    if (patched.status !== 202) return patched.status;
    const put = await this.send(scope, 'PUT', `${location}?digest=${digest}`, { body: content.slice(half) });
    await put.arrayBuffer();
    return put.status;
  }
}
