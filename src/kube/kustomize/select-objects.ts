import { parseApiVersion } from '../resources.ts';
import { parseLabelSelector } from '../selector/label-selector.ts';
import type { Built } from './built.ts';
import type { Target } from './kustomization.ts';

/** Tells whether an object is meant: by group, version, kind, namespace, any name it ever had, labels and annotations. */
export function isSelected({ object, names }: Built, target: Target): boolean {
  const { group, version } = parseApiVersion(object.apiVersion);
  const { labels = {}, annotations = {}, namespace = '' } = object.metadata;
  return (
    fits(target.group, group) &&
    fits(target.version, version) &&
    fits(target.kind, object.kind) &&
    fits(target.namespace, namespace) &&
    names.some((name) => fits(target.name, name)) &&
    selects(target.labelSelector, labels) &&
    selects(target.annotationSelector, annotations)
  );
}

/** Patterns are regular expressions for the whole value. */
function fits(pattern: string | undefined, value: string): boolean {
  return pattern === undefined || pattern === '' || new RegExp(`^(?:${pattern})$`).test(value);
}

function selects(selector: string | undefined, values: Readonly<Record<string, string>>): boolean {
  return selector === undefined || selector === '' || parseLabelSelector(selector).matches(values);
}
