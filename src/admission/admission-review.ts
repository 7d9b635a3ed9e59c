import { goQuote } from '../base/go-quote.ts';
import type { TraceStep } from '../base/trace.ts';
import type { KubeObject } from '../kube/object.ts';

/** What an API server asks its admission plug-ins about. */
export interface AdmissionRequest {
  readonly operation: 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT';
  /** Plural name of the resource, such as `pods`. */
  readonly resource: string;
  readonly subresource?: string;
  readonly namespace: string;
  /** Name in the request's path; empty or absent on creation. */
  readonly name?: string;
  readonly object: KubeObject;
  readonly oldObject?: KubeObject;
}

/** The answer of one plug-in. A changed object is a new value; the one in the request is left as it was. */
export type AdmissionOutcome =
  | {
      readonly allowed: true;
      readonly object: KubeObject;
      readonly warnings?: readonly string[];
      readonly auditAnnotations?: Readonly<Record<string, string>>;
    }
  | {
      readonly allowed: false;
      /** Reason of the Status; BadRequest is 400, Forbidden 403. */
      readonly reason: 'Forbidden' | 'BadRequest';
      /** The complete message of the Status. */
      readonly message: string;
      readonly auditAnnotations?: Readonly<Record<string, string>>;
    };

export interface TracedOutcome {
  readonly result: AdmissionOutcome;
  readonly trace: readonly TraceStep[];
}

/** Lets the request pass unchanged. */
export function pass(request: AdmissionRequest, trace: readonly TraceStep[] = []): TracedOutcome {
  return { result: { allowed: true, object: request.object }, trace };
}

/** Words a refusal as the API server does: `pods "x" is forbidden: …`. */
export function forbidden(request: AdmissionRequest, rule: string, why: string): TracedOutcome {
  return {
    result: { allowed: false, reason: 'Forbidden', message: forbiddenMessage(request, why) },
    trace: [{ rule, says: why }],
  };
}

/** A name is not there yet when it will be generated. */
export function forbiddenMessage(request: AdmissionRequest, why: string): string {
  const { name, generateName } = request.object.metadata ?? {};
  const shown = [request.name, name, generateName].find((n) => n !== undefined && n !== '') ?? 'Unknown';
  return `${request.resource} ${goQuote(shown)} is forbidden: ${why}`;
}

/** The refusal of an object that is no Pod although the resource says so (rule 2.13). */
export function notAPod(): TracedOutcome {
  const message = 'Resource was marked with kind Pod but was unable to be converted';
  return {
    result: { allowed: false, reason: 'BadRequest', message },
    trace: [{ rule: '2.13', says: message }],
  };
}
