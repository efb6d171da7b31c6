/** Answers and errors of the AWS Query protocol in XML (Smithy, "AWS Query protocol"). */
import type { AwsError } from "../errors.js";

/** An element's content: a text, a number, a moment, or elements by name. Undefined ones are left out. */
export type XmlContent = string | number | Date | { readonly [name: string]: XmlContent | undefined };

const NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/";

/** The XML of an answer. */
export const encodeAnswer = (action: string, result: XmlContent, requestId: string): string =>
  document(`${action}Response`, {
    [`${action}Result`]: result,
    ResponseMetadata: { RequestId: requestId },
  });

/** The XML of an error. */
export const encodeError = ({ type, message, status }: AwsError, requestId: string): string =>
  document("ErrorResponse", {
    Error: { Type: status < 500 ? "Sender" : "Receiver", Code: type, Message: message },
    RequestId: requestId,
  });

const document = (name: string, content: XmlContent): string =>
  `<${name} xmlns="${NAMESPACE}">\n${encode(content, "  ")}</${name}>\n`;

function encode(content: XmlContent, indent: string): string {
  if (typeof content !== "object" || content instanceof Date) return escaped(textOf(content));
  return Object.entries(content)
    .filter((entry): entry is [string, XmlContent] => entry[1] !== undefined)
    .map(([name, inner]) => {
      const nested = typeof inner === "object" && !(inner instanceof Date);
      const body = encode(inner, `${indent}  `);
      return `${indent}<${name}>${nested ? `\n${body}${indent}` : body}</${name}>\n`;
    })
    .join("");
}

const textOf = (content: string | number | Date): string =>
  content instanceof Date ? `${content.toISOString().slice(0, 19)}Z` : String(content);

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
const NOT_XML = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu;
/** Characters that XML 1.0 cannot carry become the replacement character. */
const escaped = (text: string): string =>
  text.replace(/[&<>"]/g, (one) => ENTITIES[one] ?? "").replace(NOT_XML, "\ufffd");
