import type { Clock } from '../../base/clock.ts';
import type { ImageService } from '../../pull/image-service.ts';
import { IMAGE_METRICS, type MetricSink } from './image-metrics.ts';

/** Counts and times every call to an image service, as `kubelet_runtime_operations_*` (section 14). */
export function instrumentedImageService(
  service: ImageService,
  sink: MetricSink,
  clock: Clock,
): ImageService {
  const timed = async <T>(operation: string, call: () => Promise<T>): Promise<T> => {
    const labels = { operation_type: operation };
    const startedAt = clock.now();
    sink.record(IMAGE_METRICS.runtimeOperations, labels, 1);
    try {
      return await call();
    } catch (error) {
      sink.record(IMAGE_METRICS.runtimeErrors, labels, 1);
      throw error;
    } finally {
      sink.record(IMAGE_METRICS.runtimeDuration, labels, (clock.now() - startedAt) / 1000);
    }
  };
  return {
    listImages: (filter, signal) => timed('list_images', () => service.listImages(filter, signal)),
    imageStatus: (spec, signal) => timed('image_status', () => service.imageStatus(spec, signal)),
    pullImage: (spec, auth, signal) => timed('pull_image', () => service.pullImage(spec, auth, signal)),
    removeImage: (spec, signal) => timed('remove_image', () => service.removeImage(spec, signal)),
    imageFsInfo: (signal) => timed('image_fs_info', () => service.imageFsInfo(signal)),
  };
}
