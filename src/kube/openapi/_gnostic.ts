import { isObject } from '../json/own-property.ts';
import { ProtobufWriter } from './_protobuf-writer.ts';
import type { Fragment } from './_schema-document.ts';

/*
 * The protobuf form of an OpenAPI v2 document, as google/gnostic defines it in openapiv2/OpenAPIv2.proto.
 * Field numbers below are that file's. Maps are lists of name and value; vendor extensions hold their value as YAML,
 * of which JSON is a part. Only what our own documents use is written.
 */

/** Encodes a Swagger 2.0 document. */
export function encodeDocument(document: Fragment): Uint8Array {
  const writer = new ProtobufWriter();
  writer.text(1, document['swagger']);
  writer.message(2, (info) => {
    const { title, version } = asObject(document['info']);
    info.text(1, title);
    info.text(2, version);
  });
  writer.message(8, (paths) => {
    named(paths, 2, document['paths'], writePathItem);
  });
  writer.message(9, (definitions) => {
    named(definitions, 1, document['definitions'], writeSchema);
  });
  for (const requirement of asList(document['security'])) {
    writer.message(12, (security) => {
      named(security, 1, requirement, (scopes, list) => scopes.texts(1, list));
    });
  }
  writer.message(13, (definitions) => {
    named(definitions, 1, document['securityDefinitions'], writeApiKey);
  });
  return writer.finish();
}

function writePathItem(writer: ProtobufWriter, value: unknown): void {
  const item = asObject(value);
  const methods = [
    ['get', 2],
    ['put', 3],
    ['post', 4],
    ['delete', 5],
    ['options', 6],
    ['head', 7],
    ['patch', 8],
  ] as const;
  for (const [method, field] of methods) {
    const operation = item[method];
    if (operation !== undefined) writer.message(field, (inner) => writeOperation(inner, asObject(operation)));
  }
  for (const parameter of asList(item['parameters'])) {
    writer.message(9, (inner) => writeParameter(inner, asObject(parameter)));
  }
}

function writeOperation(writer: ProtobufWriter, operation: Fragment): void {
  writer.texts(1, operation['tags']);
  writer.text(3, operation['description']);
  writer.text(5, operation['operationId']);
  writer.texts(6, operation['produces']);
  writer.texts(7, operation['consumes']);
  for (const parameter of asList(operation['parameters'])) {
    writer.message(8, (inner) => writeParameter(inner, asObject(parameter)));
  }
  writer.message(9, (responses) => {
    named(responses, 1, operation['responses'], (value, response) => {
      value.message(1, (inner) => writeResponse(inner, asObject(response)));
    });
  });
  writer.texts(10, operation['schemes']);
  writeExtensions(writer, 13, operation);
}

function writeResponse(writer: ProtobufWriter, response: Fragment): void {
  writer.text(1, response['description']);
  const schema = response['schema'];
  if (schema === undefined) return;
  writer.message(2, (item) => {
    item.message(1, (inner) => writeSchema(inner, schema));
  });
}

/** A parameter is one of: body (1), or not (2) and then header, form, query (3) or path (4). */
function writeParameter(writer: ProtobufWriter, parameter: Fragment): void {
  writer.message(1, (outer) => {
    if (parameter['in'] === 'body') {
      outer.message(1, (body) => {
        body.text(1, parameter['description']);
        body.text(2, parameter['name']);
        body.text(3, parameter['in']);
        body.flag(4, parameter['required']);
        body.message(5, (inner) => writeSchema(inner, parameter['schema']));
      });
      return;
    }
    const isPath = parameter['in'] === 'path';
    outer.message(2, (plain) => {
      plain.message(isPath ? 4 : 3, (inner) => {
        inner.flag(1, parameter['required']);
        inner.text(2, parameter['in']);
        inner.text(3, parameter['description']);
        inner.text(4, parameter['name']);
        // Queries may be empty (5), which moves the fields that follow by one.
        const shift = isPath ? 0 : 1;
        inner.text(5 + shift, parameter['type']);
        inner.text(6 + shift, parameter['format']);
        inner.flag(20 + shift, parameter['uniqueItems']);
      });
    });
  });
}

function writeSchema(writer: ProtobufWriter, value: unknown): void {
  const schema = asObject(value);
  writer.text(1, schema['$ref']);
  writer.text(2, schema['format']);
  writer.text(4, schema['description']);
  if (schema['default'] !== undefined) writer.message(5, (any) => writeAny(any, schema['default']));
  writer.texts(19, schema['required']);
  for (const member of asList(schema['enum'])) writer.message(20, (any) => writeAny(any, member));
  const additional = schema['additionalProperties'];
  if (additional !== undefined) {
    writer.message(21, (item) => {
      item.message(1, (inner) => writeSchema(inner, additional));
    });
  }
  if (schema['type'] !== undefined) writer.message(22, (item) => item.text(1, schema['type']));
  if (schema['items'] !== undefined) {
    writer.message(23, (item) => {
      item.message(1, (inner) => writeSchema(inner, schema['items']));
    });
  }
  if (schema['properties'] !== undefined) {
    writer.message(25, (properties) => {
      named(properties, 1, schema['properties'], writeSchema);
    });
  }
  writeExtensions(writer, 31, schema);
}

function writeApiKey(writer: ProtobufWriter, value: unknown): void {
  const scheme = asObject(value);
  // A scheme is one of six; an API key is the second.
  writer.message(2, (key) => {
    key.text(1, scheme['type']);
    key.text(2, scheme['name']);
    key.text(3, scheme['in']);
    key.text(4, scheme['description']);
  });
}

function writeExtensions(writer: ProtobufWriter, field: number, holder: Fragment): void {
  for (const [name, value] of Object.entries(holder)) {
    if (!name.startsWith('x-')) continue;
    writer.message(field, (extension) => {
      extension.text(1, name);
      extension.message(2, (any) => writeAny(any, value));
    });
  }
}

function writeAny(writer: ProtobufWriter, value: unknown): void {
  writer.text(2, JSON.stringify(value));
}

/** Writes a map as a list of name (1) and value (2). */
function named(
  writer: ProtobufWriter,
  field: number,
  map: unknown,
  write: (writer: ProtobufWriter, value: unknown) => void,
): void {
  for (const [name, value] of Object.entries(asObject(map))) {
    writer.message(field, (entry) => {
      entry.text(1, name);
      entry.message(2, (inner) => write(inner, value));
    });
  }
}

function asObject(value: unknown): Fragment {
  return isObject(value) ? value : {};
}

function asList(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}
