import type { Logger } from '../observe/logger.ts';
import type { QueuedEventRecorder } from './event-recorder.ts';

/** Writes events to the log, where an agent that stands alone has nobody else to tell. */
export function logEvents(logger: Logger): QueuedEventRecorder {
  return {
    event: (object, type, reason, message) => {
      const fields = { kind: object.kind, name: object.name, namespace: object.namespace, reason };
      if (type === 'Warning') logger.warn(fields, message);
      else logger.info(fields, message);
    },
    flush: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
}
