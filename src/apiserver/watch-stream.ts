import type { ServerResponse } from 'node:http';
import type { KubeObject } from '../kube/object.ts';
import { textOf } from './object-text.ts';
import { representObject, type RepresentOptions } from './representation.ts';
import type { WatchFrame, WatchSink } from './watch-objects.ts';

/** A client that reads so slowly that this much waits for it is cut off; it can resume where it was. */
export const MAX_WATCH_BUFFER = 16 * 1024 * 1024;

/**
 * Writes watch frames as lines of JSON. Frames of one turn of the event loop leave together: under a storm of changes a
 * hundred watchers cost a write a turn each, not one a change.
 */
export class WatchStream implements WatchSink {
  readonly #response: ServerResponse;
  readonly #options: () => RepresentOptions;
  #sentColumns = false;
  #pending = '';

  constructor(response: ServerResponse, options: () => RepresentOptions) {
    this.#response = response;
    this.#options = options;
  }

  send(frame: WatchFrame): boolean {
    const waiting = this.#response.writableLength + this.#pending.length;
    if (this.#response.destroyed || waiting > MAX_WATCH_BUFFER) return false;
    if (this.#pending === '') setImmediate(() => this.#flush());
    this.#pending += this.#line(frame);
    return true;
  }

  end(): void {
    this.#flush();
    if (this.#response.writableLength > MAX_WATCH_BUFFER) this.#response.destroy();
    else this.#response.end();
  }

  #flush(): void {
    const text = this.#pending;
    this.#pending = '';
    if (text !== '' && !this.#response.destroyed && !this.#response.writableEnded) this.#response.write(text);
  }

  #line(frame: WatchFrame): string {
    const { type } = frame;
    const options = this.#options();
    const { as } = options.representation;
    if (type === 'ERROR') return `${JSON.stringify(frame)}\n`;
    const object = frame.object as KubeObject;
    if (as === undefined) return `{"type":"${type}","object":${textOf(object)}}\n`;
    if (type === 'BOOKMARK' && as !== 'Table') {
      return `${JSON.stringify({ type, object: { ...object, kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1' } })}\n`;
    }
    const shown = representObject(object, { ...options, noHeaders: this.#sentColumns });
    if (as === 'Table') this.#sentColumns = true;
    return `${JSON.stringify({ type, object: shown })}\n`;
  }
}
