import { randomUUID } from 'node:crypto';

/** What happened, for those who want to be told. */
export interface RegistryEvent {
  readonly action: 'push' | 'delete' | 'quota';
  readonly repository: string;
  readonly digest?: string;
  readonly tag?: string;
  readonly mediaType?: string;
  readonly size?: number;
  /** Account; empty for nobody. */
  readonly actor: string;
  readonly address: string;
  readonly request: string;
  /** Why, for `quota`. */
  readonly message?: string;
}

/** Media type of a notification; distribution's own, so that its receivers understand ours. */
export const EVENTS_TYPE = 'application/vnd.docker.distribution.events.v2+json';

/** Prints an event as distribution's notification envelope. */
export function eventEnvelope(event: RegistryEvent, at: number): string {
  const { action, repository, digest, tag, mediaType, size, actor, address, request, message } = event;
  return JSON.stringify({
    events: [
      {
        id: randomUUID(),
        timestamp: new Date(at).toISOString(),
        action,
        target: { repository, digest, tag, mediaType, size, length: size },
        request: { id: request, addr: address },
        actor: { name: actor },
        message,
      },
    ],
  });
}
