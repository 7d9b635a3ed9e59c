import type { ContentInfo } from '../../content/store.ts';
import type { CollectOptions, CollectStep } from '../../images/collect.ts';
import type { ImageStore, ImageWithNames, NameRecord } from '../../images/image-store.ts';
import type { ImageGcForecast } from '../../kubelet/images/gc-forecast.ts';
import type { Digest } from '../../oci/digest.ts';
import type { Platform } from '../../oci/platform.ts';
import type { PulledImage } from '../../pull/pull-image.ts';
import type { PullProgress } from '../../pull/progress.ts';
import type { Credential } from '../../remote/credential.ts';
import type { WireError } from './wire-error.ts';

/*
 * What is said on the socket of a held root. HTTP over a unix socket, JSON in UTF-8:
 *
 *   POST /v1/sessions              answers lines; the first is {"session":ID,"holder":…}, and the session lives as long as the answer
 *   POST /v1/calls/NAME            {…} → {"answer":…}, or another status and {"error":…}
 *   GET  /v1/content/DIGEST        bytes from ?offset= on, ?length= of them
 *   POST /v1/ingests/ID            appends the body to an ingest
 *   POST /v1/pulls                 lines: {"progress":…}, {"credential":…}, at last {"answer":…} or {"error":…}
 *   GET  /v1/pulls                 lines: where every part of every pull of the holder stands, one after another as it changes
 *
 * All but the first and the last name their session in the header `dray-session`. A session that ends gives back its leases, lets go of
 * its ingests, which keep their bytes, and ends its pulls.
 */

export const SESSION_HEADER = 'dray-session';

/** Bytes of one call, and of one piece of an ingest: an image record of a thousand layers has 300 kB. */
export const MAX_BODY_BYTES = 8 * 1024 * 1024;

/** Calls by name: what they are asked and what they answer. */
export interface StoreCalls {
  'images.list': { ask: object; answer: ImageWithNames[] };
  'images.find': { ask: { name: string }; answer: ImageWithNames | null };
  'images.names': { ask: object; answer: NameRecord[] };
  'images.put': {
    ask: { image: Parameters<ImageStore['put']>[0]; names: Parameters<ImageStore['put']>[1] };
    answer: null;
  };
  'images.tag': { ask: { existing: string; name: string }; answer: null };
  'images.removeName': { ask: { name: string }; answer: boolean };
  'images.removeImage': { ask: { id: Digest }; answer: boolean };
  'leases.make': { ask: { reason: string }; answer: string };
  'leases.add': { ask: { lease: string; digest: Digest }; answer: null };
  'leases.release': { ask: { lease: string }; answer: null };
  'content.stat': { ask: { digest: Digest }; answer: ContentInfo };
  'ingests.open': {
    ask: { ref: string; algorithm?: string; wait: boolean };
    answer: { id: string; offset: number };
  };
  'ingests.truncate': { ask: { id: string; offset: number }; answer: null };
  'ingests.commit': { ask: { id: string; digest?: Digest; size?: number }; answer: ContentInfo };
  /** Closes, or aborts, an ingest. */
  'ingests.end': { ask: { id: string; keep: boolean }; answer: null };
  'pulls.credential': { ask: { id: string; credential: Credential | null }; answer: null };
  /** What the node that holds the root will clean away; null when the holder is no node. */
  'images.forecastGc': { ask: object; answer: ImageGcForecast | null };
  collect: { ask: Pick<CollectOptions, 'dryRun' | 'verify'>; answer: CollectStep[] };
}

export type CallName = keyof StoreCalls;

/** Asks the holder to pull, reaching registries as the asking process would. */
export interface PullAsk {
  readonly reference: string;
  readonly platform?: Platform;
  readonly hostRoots: readonly string[];
  readonly insecureRegistries: readonly string[];
  /** Where proxies are told: the asking process's variables of that kind. */
  readonly proxies: Readonly<Record<string, string>>;
  readonly bytesPerSecond?: number;
}

/** One line of a pull's answer. */
export type PullLine =
  | { readonly progress: PullProgress }
  /** The holder wants to know what to present to a host; `pulls.credential` tells it. */
  | { readonly credential: { readonly id: string; readonly host: string; readonly repository: string } }
  | { readonly answer: PulledImage }
  | { readonly error: WireError };

/** The first line of a session. */
export interface SessionLine {
  readonly session: string;
}
