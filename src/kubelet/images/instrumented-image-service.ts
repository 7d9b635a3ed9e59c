import type { Clock } from '../../base/clock.ts';
import type { ImageService } from '../../pull/image-service.ts';
import { timedOperation, type MetricSink } from './image-metrics.ts';

/** Counts and times every call to an image service, as `kubelet_runtime_operations_*` (section 14). */
export function instrumentedImageService(
  service: ImageService,
  sink: MetricSink,
  clock: Clock,
): ImageService {
  const timed = <T>(operation: string, call: () => Promise<T>): Promise<T> =>
    timedOperation(sink, clock, operation, call);
  return {
    listImages: (filter, signal) => timed('list_images', () => service.listImages(filter, signal)),
    imageStatus: (spec, signal) => timed('image_status', () => service.imageStatus(spec, signal)),
    pullImage: (spec, auth, signal) => timed('pull_image', () => service.pullImage(spec, auth, signal)),
    removeImage: (spec, signal) => timed('remove_image', () => service.removeImage(spec, signal)),
    imageFsInfo: (signal) => timed('image_fs_info', () => service.imageFsInfo(signal)),
  };
}
