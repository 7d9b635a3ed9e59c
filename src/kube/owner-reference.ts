import type { KubeObject, OwnerReference } from './object.ts';

/** Makes the reference by which `controller` owns what it creates (controller and blockOwnerDeletion set). */
export function controllerReference(controller: KubeObject): OwnerReference {
  return {
    apiVersion: controller.apiVersion,
    kind: controller.kind,
    name: controller.metadata.name,
    uid: controller.metadata.uid ?? '',
    controller: true,
    blockOwnerDeletion: true,
  };
}

/** Returns the owner that controls the object, if any. */
export function controllerOf(object: KubeObject): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((owner) => owner.controller === true);
}

/** Tells whether `owner` controls `object`, by uid. */
export function isControlledBy(object: KubeObject, owner: KubeObject): boolean {
  const uid = owner.metadata.uid;
  return uid !== undefined && controllerOf(object)?.uid === uid;
}
