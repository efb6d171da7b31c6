/** The media types of Oblivious HTTP (RFC 9458 §4.5), for those who carry its messages without opening them. */

export const MEDIA_TYPE_OHTTP_REQUEST = "message/ohttp-req";
export const MEDIA_TYPE_OHTTP_RESPONSE = "message/ohttp-res";
