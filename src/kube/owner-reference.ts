import type { KubeObject, OwnerReference } from './object.ts';

/** Makes the reference by which `controller` owns what it creates (controller and blockOwnerDeletion set). */
export declare function controllerReference(controller: KubeObject): OwnerReference;
/** Returns the owner that controls the object, if any. */
export declare function controllerOf(object: KubeObject): OwnerReference | undefined;
/** Tells whether `owner` controls `object`, by uid. */
export declare function isControlledBy(object: KubeObject, owner: KubeObject): boolean;
