import type { KubeObject } from '../kube/object.ts';

/*
 * Events are served by two groups and stored once, as core/v1:
 *
 *   core/v1                                events.k8s.io/v1
 *   involvedObject                         regarding
 *   message                                note
 *   source                                 deprecatedSource
 *   firstTimestamp, lastTimestamp, count   deprecatedFirstTimestamp, deprecatedLastTimestamp, deprecatedCount
 *   reportingComponent                     reportingController
 *   eventTime, series, action, reason, type, related, reportingInstance: the same
 */
const CORE_TO_EVENTS: Readonly<Record<string, string>> = {
  involvedObject: 'regarding',
  message: 'note',
  source: 'deprecatedSource',
  firstTimestamp: 'deprecatedFirstTimestamp',
  lastTimestamp: 'deprecatedLastTimestamp',
  count: 'deprecatedCount',
  reportingComponent: 'reportingController',
};
const EVENTS_TO_CORE: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(CORE_TO_EVENTS).map(([core, events]) => [events, core]),
);

/** Returns an Event in the form of the wanted apiVersion; objects of other kinds pass through. */
export function convertEvent(object: KubeObject, apiVersion: string): KubeObject {
  if (object.kind !== 'Event' || object.apiVersion === apiVersion) return object;
  const names = apiVersion === 'v1' ? EVENTS_TO_CORE : CORE_TO_EVENTS;
  const converted = Object.entries(object).map(([key, value]): [string, unknown] => [
    Object.hasOwn(names, key) ? (names[key] ?? key) : key,
    value,
  ]);
  return { ...(Object.fromEntries(converted) as unknown as KubeObject), apiVersion };
}
