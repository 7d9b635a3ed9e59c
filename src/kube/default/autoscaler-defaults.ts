import { objectAt, objectsAt, type JsonObject } from '../json/json-object.ts';
import { setDefault } from './_set-default.ts';

const PERIOD_SECONDS = 15;

/** Fills in the bounds of an autoscaler of either version. */
export function setOlderAutoscalerDefaults(spec: JsonObject): void {
  setDefault(spec, 'minReplicas', 1);
}

/** Fills in an autoscaler: what is measured, and how fast it scales where it says something about that. */
export function setAutoscalerDefaults(spec: JsonObject): void {
  setDefault(spec, 'minReplicas', 1);
  if (objectsAt(spec, 'metrics').length === 0) {
    const target = { type: 'Utilization', averageUtilization: 80 };
    spec['metrics'] = [{ type: 'Resource', resource: { name: 'cpu', target } }];
  }
  const behavior = objectAt(spec, 'behavior');
  if (behavior === undefined) return;
  const double = { type: 'Percent', value: 100, periodSeconds: PERIOD_SECONDS };
  const some = { type: 'Pods', value: 4, periodSeconds: PERIOD_SECONDS };
  const up = { stabilizationWindowSeconds: 0, selectPolicy: 'Max', policies: [some, double] };
  behavior['scaleUp'] = { ...up, ...objectAt(behavior, 'scaleUp') };
  behavior['scaleDown'] = { selectPolicy: 'Max', policies: [double], ...objectAt(behavior, 'scaleDown') };
}
