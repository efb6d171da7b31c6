/*
 * AF_VSOCK streams and listeners on libuv, and three system calls that an enclave needs: the native half of native.ts,
 * which says what each function means to its caller. Node-API version 8 and libuv, libc only.
 *
 * An endpoint is a connection, a listener, or an attempt to connect. It has exactly one live libuv handle from its creation
 * until it is closed: a uv_poll while it connects or listens, then a uv_pipe, which libuv reads and writes like any other
 * stream. JavaScript holds it as an external value, and the endpoint holds that value until it is closed: its memory is
 * freed when it is both closed and collected, so no call can meet a dangling pointer.
 *
 * No pointer into JavaScript's memory is kept across calls, except the one read buffer, which native.ts gives away only after
 * it has put another in its place. Functions answer with a negative errno; nothing here throws.
 */
#define _GNU_SOURCE
#define NAPI_VERSION 8
#include <errno.h>
#include <linux/random.h>
#include <node_api.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#ifdef VSOCK_OVER_UNIX
#include <stddef.h>
#include <sys/un.h>
#else
#include <linux/vm_sockets.h>
#endif

/* Old kernels corrupt longer writes on AF_VSOCK. */
#define WIRE_MAX_BYTES 32768
/* So many writes in a row, then the event loop has its turn. */
#define WRITES_AT_ONCE 32

#define NSM_REQUEST_MAX 0x1000
#define NSM_RESPONSE_MAX 0x3000
#define ENTROPY_MAX 4096

/* The numbers of EVENT in native.ts. */
enum event { EVENT_CONNECT, EVENT_READ, EVENT_WRITTEN, EVENT_SHUTDOWN, EVENT_ACCEPTABLE, EVENT_CLOSED };

enum kind { CONNECTING, LISTENER, STREAM };

struct endpoint;

/* The addon in one thread of JavaScript. */
struct instance {
  napi_env env;
  uv_loop_t *loop;
  napi_async_cleanup_hook_handle hook;
  struct endpoint *first;
  napi_ref read_buffer;
  char *read_base;
  size_t read_length;
  bool ending; /* the thread ends: close everything, call nothing */
};

struct endpoint {
  struct instance *instance;
  struct endpoint *previous, *next; /* among the instance's open ones */
  union {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_poll_t poll;
    uv_pipe_t pipe;
  } uv;
  uv_shutdown_t shutdown;
  enum kind kind;
  int fd; /* ours to close; -1 once the pipe owns it */
  bool closing;
  bool referenced;
  napi_ref self; /* keeps the external value while the endpoint is open */
  napi_ref notify;
  napi_async_context context;
};

/* Bytes that wait until the kernel takes more. */
struct piece {
  uv_write_t request;
  struct endpoint *endpoint;
  size_t length;
  char bytes[];
};

/* ---- Addresses: all that differs between AF_VSOCK and its stand-in for tests ---- */

#ifdef VSOCK_OVER_UNIX
/* A port is the abstract AF_UNIX name "%05x", the form in which the kernel names a socket by itself. Every CID is 1. */
#define FAMILY AF_UNIX
#define PORT_ANY 0xffffffffu

union address {
  struct sockaddr any;
  struct sockaddr_un un;
};

static socklen_t make_address(union address *address, uint32_t cid, uint32_t port) {
  (void)cid;
  memset(address, 0, sizeof *address);
  address->un.sun_family = AF_UNIX;
  if (port == PORT_ANY) return sizeof(sa_family_t);
  int length = snprintf(address->un.sun_path + 1, sizeof address->un.sun_path - 1, "%05x", port);
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
}

static int read_address(const union address *address, socklen_t length, uint32_t *cid, uint32_t *port) {
  char digits[9] = "";
  size_t prefix = offsetof(struct sockaddr_un, sun_path) + 1;
  if (length <= prefix || length - prefix >= sizeof digits) return UV_EAFNOSUPPORT;
  memcpy(digits, address->un.sun_path + 1, length - prefix);
  *cid = 1;
  *port = (uint32_t)strtoul(digits, NULL, 16);
  return 0;
}

/* AF_VSOCK gives a connecting socket a port of its own. */
static int prepare_connect(int fd, uint32_t timeout_ms) {
  (void)timeout_ms;
  union address address;
  socklen_t length = make_address(&address, 0, PORT_ANY);
  return bind(fd, &address.any, length) == 0 ? 0 : -errno;
}

#else
#define FAMILY AF_VSOCK

union address {
  struct sockaddr any;
  struct sockaddr_vm vm;
};

static socklen_t make_address(union address *address, uint32_t cid, uint32_t port) {
  memset(address, 0, sizeof *address);
  address->vm.svm_family = AF_VSOCK;
  address->vm.svm_cid = cid;
  address->vm.svm_port = port;
  return sizeof address->vm;
}

static int read_address(const union address *address, socklen_t length, uint32_t *cid, uint32_t *port) {
  if (length < sizeof address->vm || address->vm.svm_family != AF_VSOCK) return UV_EAFNOSUPPORT;
  *cid = address->vm.svm_cid;
  *port = address->vm.svm_port;
  return 0;
}

/* The kernel gives up after two seconds unless it is told otherwise. */
static int prepare_connect(int fd, uint32_t timeout_ms) {
  struct timeval timeout = {.tv_sec = timeout_ms / 1000, .tv_usec = (timeout_ms % 1000) * 1000};
  return setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &timeout, sizeof timeout) == 0 ? 0 : -errno;
}
#endif

/* ---- JavaScript's side ---- */

static napi_value number(napi_env env, int64_t value) {
  napi_value result = NULL;
  napi_create_int64(env, value, &result);
  return result;
}

/* The arguments of a call; those that were left out are undefined. */
static bool arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values) {
  return napi_get_cb_info(env, info, &count, values, NULL, NULL) == napi_ok;
}

static struct instance *instance_of(napi_env env) {
  void *instance = NULL;
  return napi_get_instance_data(env, &instance) == napi_ok ? instance : NULL;
}

/* The open endpoint that `value` stands for, or NULL. */
static struct endpoint *endpoint_of(napi_env env, napi_value value) {
  void *pointer = NULL;
  if (napi_get_value_external(env, value, &pointer) != napi_ok || pointer == NULL) return NULL;
  struct endpoint *endpoint = pointer;
  return endpoint->closing ? NULL : endpoint;
}

static bool bytes_of(napi_env env, napi_value value, char **data, size_t *length) {
  napi_typedarray_type type;
  void *base = NULL;
  if (napi_get_typedarray_info(env, value, &type, length, &base, NULL, NULL) != napi_ok) return false;
  *data = base;
  return type == napi_uint8_array;
}

/* What a callback has thrown is an uncaught exception, as it is everywhere on the event loop. */
static void report_exception(napi_env env) {
  bool pending = false;
  napi_value error;
  if (napi_is_exception_pending(env, &pending) != napi_ok || !pending) return;
  if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
}

/* Tells the endpoint's watcher of an event. It may close the endpoint; the endpoint is still there afterwards. */
static void notify(struct endpoint *endpoint, enum event event, int64_t value) {
  napi_env env = endpoint->instance->env;
  napi_handle_scope scope;
  napi_value global, watcher;
  if (endpoint->instance->ending || endpoint->notify == NULL) return;
  if (endpoint->closing && event != EVENT_CLOSED) return;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  if (napi_get_global(env, &global) == napi_ok &&
      napi_get_reference_value(env, endpoint->notify, &watcher) == napi_ok) {
    napi_value values[] = {number(env, event), number(env, value)};
    if (napi_make_callback(env, endpoint->context, global, watcher, 2, values, NULL) != napi_ok) report_exception(env);
  }
  napi_close_handle_scope(env, scope);
}

/* ---- Life and end of an endpoint ---- */

static void free_endpoint(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  free(data);
}

static void unlink_endpoint(struct endpoint *endpoint) {
  if (endpoint->next != NULL) endpoint->next->previous = endpoint->previous;
  if (endpoint->previous != NULL) endpoint->previous->next = endpoint->next;
  else endpoint->instance->first = endpoint->next;
}

/* The endpoint has no libuv handle any more, or never had one. Its memory may be collected from here on. */
static void release(struct endpoint *endpoint) {
  napi_env env = endpoint->instance->env;
  napi_ref self = endpoint->self;
  endpoint->closing = true;
  if (endpoint->fd >= 0) close(endpoint->fd);
  if (endpoint->context != NULL) napi_async_destroy(env, endpoint->context);
  if (endpoint->notify != NULL) napi_delete_reference(env, endpoint->notify);
  if (self != NULL) napi_delete_reference(env, self);
}

static void on_closed(uv_handle_t *handle) {
  struct endpoint *endpoint = handle->data;
  struct instance *instance = endpoint->instance;
  unlink_endpoint(endpoint);
  notify(endpoint, EVENT_CLOSED, 0);
  release(endpoint);
  if (instance->ending && instance->first == NULL) napi_remove_async_cleanup_hook(instance->hook);
}

static void begin_close(struct endpoint *endpoint) {
  endpoint->closing = true;
  /* Between poll and pipe the handle closes already: on_poll_closed goes on from there. */
  if (!uv_is_closing(&endpoint->uv.handle)) uv_close(&endpoint->uv.handle, on_closed);
  if (endpoint->fd >= 0) close(endpoint->fd); /* libuv allows that once its handle closes */
  endpoint->fd = -1;
}

/* A new endpoint with `fd`, of which it takes possession in every case, and the value that stands for it. */
static int create_endpoint(struct instance *instance, int fd, struct endpoint **created, napi_value *value) {
  struct endpoint *endpoint = calloc(1, sizeof *endpoint);
  if (endpoint == NULL) {
    close(fd);
    return UV_ENOMEM;
  }
  endpoint->instance = instance;
  endpoint->fd = fd;
  endpoint->referenced = true;
  if (napi_create_external(instance->env, endpoint, free_endpoint, NULL, value) != napi_ok) {
    close(fd);
    free(endpoint);
    return UV_ENOMEM;
  }
  if (napi_create_reference(instance->env, *value, 1, &endpoint->self) != napi_ok) {
    release(endpoint);
    return UV_ENOMEM;
  }
  *created = endpoint;
  return 0;
}

/* From here on the endpoint has a live handle, and is closed through begin_close. */
static void link_endpoint(struct endpoint *endpoint) {
  struct instance *instance = endpoint->instance;
  endpoint->uv.handle.data = endpoint;
  endpoint->next = instance->first;
  if (endpoint->next != NULL) endpoint->next->previous = endpoint;
  instance->first = endpoint;
}

static int init_poll(struct endpoint *endpoint, enum kind kind) {
  int status = uv_poll_init(endpoint->instance->loop, &endpoint->uv.poll, endpoint->fd);
  if (status < 0) {
    release(endpoint);
    return status;
  }
  endpoint->kind = kind;
  link_endpoint(endpoint);
  return 0;
}

/* Hands the descriptor to a pipe. The pipe is live even when this fails; the descriptor then stays the endpoint's. */
static int init_stream(struct endpoint *endpoint) {
  int status = uv_pipe_init(endpoint->instance->loop, &endpoint->uv.pipe, 0);
  if (status < 0) abort(); /* unreachable: it only fills the structure in */
  endpoint->uv.handle.data = endpoint;
  endpoint->kind = STREAM;
  if (!endpoint->referenced) uv_unref(&endpoint->uv.handle);
  status = uv_pipe_open(&endpoint->uv.pipe, endpoint->fd);
  if (status == 0) endpoint->fd = -1;
  return status;
}

/* ---- Connecting ---- */

static int socket_error(int fd) {
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0) return -errno;
  return -error;
}

static void on_poll_closed(uv_handle_t *handle) {
  struct endpoint *endpoint = handle->data;
  if (endpoint->closing) on_closed(handle);
  else notify(endpoint, EVENT_CONNECT, init_stream(endpoint));
}

/* libuv says UV_EBADF for whatever is wrong with the socket; the socket itself says what. */
static void on_connectable(uv_poll_t *poll, int status, int events) {
  (void)events;
  struct endpoint *endpoint = poll->data;
  int error = socket_error(endpoint->fd);
  uv_poll_stop(poll);
  if (error == 0 && status == 0) uv_close(&endpoint->uv.handle, on_poll_closed);
  else notify(endpoint, EVENT_CONNECT, error == 0 ? status : error);
}

static int begin_connect(int fd, uint32_t cid, uint32_t port, uint32_t timeout_ms) {
  union address address;
  socklen_t length = make_address(&address, cid, port);
  int status = prepare_connect(fd, timeout_ms);
  if (status < 0) return status;
  if (connect(fd, &address.any, length) == 0 || errno == EINPROGRESS || errno == EINTR) return 0;
  return -errno;
}

static int open_socket(void) {
  int fd = socket(FAMILY, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  return fd < 0 ? -errno : fd;
}

static napi_value js_connect(napi_env env, napi_callback_info info) {
  struct instance *instance = instance_of(env);
  napi_value values[3], handle;
  uint32_t cid, port, timeout_ms;
  if (instance == NULL || !arguments(env, info, 3, values) ||
      napi_get_value_uint32(env, values[0], &cid) != napi_ok ||
      napi_get_value_uint32(env, values[1], &port) != napi_ok ||
      napi_get_value_uint32(env, values[2], &timeout_ms) != napi_ok)
    return number(env, UV_EINVAL);
  struct endpoint *endpoint;
  int fd = open_socket();
  if (fd < 0) return number(env, fd);
  int status = begin_connect(fd, cid, port, timeout_ms);
  if (status < 0) {
    close(fd);
    return number(env, status);
  }
  if ((status = create_endpoint(instance, fd, &endpoint, &handle)) < 0) return number(env, status);
  if ((status = init_poll(endpoint, CONNECTING)) < 0) return number(env, status);
  status = uv_poll_start(&endpoint->uv.poll, UV_WRITABLE, on_connectable);
  if (status == 0) return handle;
  begin_close(endpoint);
  return number(env, status);
}

/* ---- Listening ---- */

static int begin_listen(int fd, uint32_t cid, uint32_t port, int backlog) {
  union address address;
  socklen_t length = make_address(&address, cid, port);
  if (bind(fd, &address.any, length) < 0 || listen(fd, backlog) < 0) return -errno;
  return 0;
}

static napi_value js_listen(napi_env env, napi_callback_info info) {
  struct instance *instance = instance_of(env);
  napi_value values[3], handle;
  uint32_t cid, port;
  int32_t backlog;
  if (instance == NULL || !arguments(env, info, 3, values) ||
      napi_get_value_uint32(env, values[0], &cid) != napi_ok ||
      napi_get_value_uint32(env, values[1], &port) != napi_ok ||
      napi_get_value_int32(env, values[2], &backlog) != napi_ok)
    return number(env, UV_EINVAL);
  struct endpoint *endpoint;
  int fd = open_socket();
  if (fd < 0) return number(env, fd);
  int status = begin_listen(fd, cid, port, backlog);
  if (status < 0) {
    close(fd);
    return number(env, status);
  }
  if ((status = create_endpoint(instance, fd, &endpoint, &handle)) < 0) return number(env, status);
  status = init_poll(endpoint, LISTENER);
  return status < 0 ? number(env, status) : handle;
}

static void on_acceptable(uv_poll_t *poll, int status, int events) {
  (void)events;
  struct endpoint *endpoint = poll->data;
  int error = status < 0 ? socket_error(endpoint->fd) : 0;
  notify(endpoint, EVENT_ACCEPTABLE, error == 0 ? status : error);
}

static napi_value js_accept(napi_env env, napi_callback_info info) {
  napi_value values[1], handle;
  struct endpoint *listener = arguments(env, info, 1, values) ? endpoint_of(env, values[0]) : NULL;
  struct endpoint *endpoint;
  int fd;
  if (listener == NULL || listener->kind != LISTENER) return number(env, UV_EBADF);
  do fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
  if (fd < 0) return number(env, -errno);
  int status = create_endpoint(listener->instance, fd, &endpoint, &handle);
  if (status < 0) return number(env, status);
  status = init_stream(endpoint);
  link_endpoint(endpoint);
  if (status == 0) return handle;
  begin_close(endpoint);
  return number(env, status);
}

/* ---- Reading ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  (void)suggested;
  struct endpoint *endpoint = handle->data;
  *buffer = uv_buf_init(endpoint->instance->read_base, (unsigned int)endpoint->instance->read_length);
}

/* The bytes lie in the instance's read buffer until the next stream reads: they are taken in here or not at all. */
static void on_read(uv_stream_t *stream, ssize_t length, const uv_buf_t *buffer) {
  (void)buffer;
  if (length != 0) notify(stream->data, EVENT_READ, length); /* 0: nothing there after all */
}

static napi_value js_start(napi_env env, napi_callback_info info) {
  napi_value values[1];
  struct endpoint *endpoint = arguments(env, info, 1, values) ? endpoint_of(env, values[0]) : NULL;
  if (endpoint == NULL || endpoint->kind == CONNECTING) return number(env, UV_EBADF);
  if (endpoint->kind == STREAM) return number(env, uv_read_start(&endpoint->uv.stream, on_alloc, on_read));
  return number(env, uv_poll_start(&endpoint->uv.poll, UV_READABLE, on_acceptable));
}

static napi_value js_stop(napi_env env, napi_callback_info info) {
  napi_value values[1];
  struct endpoint *endpoint = arguments(env, info, 1, values) ? endpoint_of(env, values[0]) : NULL;
  if (endpoint == NULL || endpoint->kind == CONNECTING) return number(env, UV_EBADF);
  if (endpoint->kind == STREAM) return number(env, uv_read_stop(&endpoint->uv.stream));
  return number(env, uv_poll_stop(&endpoint->uv.poll));
}

static napi_value js_read_into(napi_env env, napi_callback_info info) {
  struct instance *instance = instance_of(env);
  napi_value values[1];
  napi_ref reference;
  char *base;
  size_t length;
  if (instance == NULL || !arguments(env, info, 1, values) || !bytes_of(env, values[0], &base, &length) || length == 0)
    return number(env, UV_EINVAL);
  if (napi_create_reference(env, values[0], 1, &reference) != napi_ok) return number(env, UV_ENOMEM);
  if (instance->read_buffer != NULL) napi_delete_reference(env, instance->read_buffer);
  instance->read_buffer = reference;
  instance->read_base = base;
  instance->read_length = length;
  return number(env, 0);
}

/* ---- Writing ---- */

static void on_written(uv_write_t *request, int status) {
  struct piece *piece = request->data;
  struct endpoint *endpoint = piece->endpoint;
  int64_t value = status < 0 ? status : (int64_t)piece->length;
  free(piece);
  notify(endpoint, EVENT_WRITTEN, value);
}

/* Copies a piece that the kernel does not take now, and sends it when it does. */
static int write_later(struct endpoint *endpoint, const char *bytes, size_t length) {
  struct piece *piece = malloc(sizeof *piece + length);
  if (piece == NULL) return UV_ENOMEM;
  piece->endpoint = endpoint;
  piece->length = length;
  piece->request.data = piece;
  memcpy(piece->bytes, bytes, length);
  uv_buf_t buffer = uv_buf_init(piece->bytes, (unsigned int)length);
  int status = uv_write(&piece->request, &endpoint->uv.stream, &buffer, 1, on_written);
  if (status < 0) free(piece);
  return status;
}

static size_t wire_length(size_t length) { return length < WIRE_MAX_BYTES ? length : WIRE_MAX_BYTES; }

/* The count of bytes that were sent; when they are not all, a piece waits. */
static int64_t write_now(struct endpoint *endpoint, char *bytes, size_t length) {
  size_t sent = 0;
  for (int count = 0; sent < length && count < WRITES_AT_ONCE; count++) {
    uv_buf_t buffer = uv_buf_init(bytes + sent, (unsigned int)wire_length(length - sent));
    int status = uv_try_write(&endpoint->uv.stream, &buffer, 1);
    if (status == UV_EAGAIN) break;
    if (status < 0) return status;
    sent += (size_t)status;
  }
  if (sent == length) return (int64_t)sent;
  int status = write_later(endpoint, bytes + sent, wire_length(length - sent));
  return status < 0 ? status : (int64_t)sent;
}

static napi_value js_write(napi_env env, napi_callback_info info) {
  napi_value values[3];
  char *bytes;
  size_t length;
  int64_t offset;
  struct endpoint *endpoint = arguments(env, info, 3, values) ? endpoint_of(env, values[0]) : NULL;
  if (endpoint == NULL || endpoint->kind != STREAM) return number(env, UV_EBADF);
  if (!bytes_of(env, values[1], &bytes, &length) || napi_get_value_int64(env, values[2], &offset) != napi_ok ||
      offset < 0 || (uint64_t)offset > length)
    return number(env, UV_EINVAL);
  if ((uint64_t)offset == length) return number(env, 0);
  return number(env, write_now(endpoint, bytes + offset, length - (size_t)offset));
}

static void on_shutdown(uv_shutdown_t *request, int status) { notify(request->data, EVENT_SHUTDOWN, status); }

static napi_value js_shutdown(napi_env env, napi_callback_info info) {
  napi_value values[1];
  struct endpoint *endpoint = arguments(env, info, 1, values) ? endpoint_of(env, values[0]) : NULL;
  if (endpoint == NULL || endpoint->kind != STREAM) return number(env, UV_EBADF);
  if (endpoint->shutdown.data != NULL) return number(env, UV_EALREADY);
  endpoint->shutdown.data = endpoint;
  int status = uv_shutdown(&endpoint->shutdown, &endpoint->uv.stream, on_shutdown);
  if (status < 0) endpoint->shutdown.data = NULL;
  return number(env, status);
}

/* ---- The rest of an endpoint ---- */

static napi_value js_watch(napi_env env, napi_callback_info info) {
  napi_value values[2], name;
  napi_ref reference;
  struct endpoint *endpoint = arguments(env, info, 2, values) ? endpoint_of(env, values[0]) : NULL;
  if (endpoint == NULL) return number(env, UV_EBADF);
  if (endpoint->context == NULL && (napi_create_string_utf8(env, "VSOCK", NAPI_AUTO_LENGTH, &name) != napi_ok ||
                                    napi_async_init(env, NULL, name, &endpoint->context) != napi_ok))
    return number(env, UV_ENOMEM);
  if (napi_create_reference(env, values[1], 1, &reference) != napi_ok) return number(env, UV_EINVAL);
  if (endpoint->notify != NULL) napi_delete_reference(env, endpoint->notify);
  endpoint->notify = reference;
  return number(env, 0);
}

static napi_value js_close(napi_env env, napi_callback_info info) {
  napi_value values[1];
  struct endpoint *endpoint = arguments(env, info, 1, values) ? endpoint_of(env, values[0]) : NULL;
  if (endpoint == NULL) return number(env, UV_EBADF);
  begin_close(endpoint);
  return number(env, 0);
}

static napi_value set_referenced(napi_env env, napi_callback_info info, bool referenced) {
  napi_value values[1];
  struct endpoint *endpoint = arguments(env, info, 1, values) ? endpoint_of(env, values[0]) : NULL;
  if (endpoint == NULL) return number(env, UV_EBADF);
  endpoint->referenced = referenced;
  if (referenced) uv_ref(&endpoint->uv.handle);
  else uv_unref(&endpoint->uv.handle);
  return number(env, 0);
}

static napi_value js_ref(napi_env env, napi_callback_info info) { return set_referenced(env, info, true); }
static napi_value js_unref(napi_env env, napi_callback_info info) { return set_referenced(env, info, false); }

static int address_of(struct endpoint *endpoint, bool peer, uint32_t *cid, uint32_t *port) {
  union address address;
  socklen_t length = sizeof address;
  uv_os_fd_t fd = endpoint->fd;
  int status = fd >= 0 ? 0 : uv_fileno(&endpoint->uv.handle, &fd);
  if (status < 0) return status;
  memset(&address, 0, sizeof address);
  if ((peer ? getpeername : getsockname)(fd, &address.any, &length) < 0) return -errno;
  return read_address(&address, length, cid, port);
}

static napi_value js_address(napi_env env, napi_callback_info info) {
  napi_value values[2], result;
  uint32_t cid = 0, port = 0;
  bool peer;
  struct endpoint *endpoint = arguments(env, info, 2, values) ? endpoint_of(env, values[0]) : NULL;
  if (endpoint == NULL) return number(env, UV_EBADF);
  if (napi_get_value_bool(env, values[1], &peer) != napi_ok) return number(env, UV_EINVAL);
  int status = address_of(endpoint, peer, &cid, &port);
  if (status < 0) return number(env, status);
  if (napi_create_array_with_length(env, 2, &result) != napi_ok ||
      napi_set_element(env, result, 0, number(env, cid)) != napi_ok ||
      napi_set_element(env, result, 1, number(env, port)) != napi_ok)
    return number(env, UV_ENOMEM);
  return result;
}

/* ---- The Nitro Security Module: uapi/linux/nsm.h ---- */

struct nsm_span {
  uint64_t address;
  uint64_t length;
};

struct nsm_raw {
  struct nsm_span request;
  struct nsm_span response;
};

#define NSM_IOCTL _IOWR(0x0A, 0, struct nsm_raw)
_Static_assert(NSM_IOCTL == 0xC0200A00, "the ioctl of uapi/linux/nsm.h");

struct nsm_call {
  napi_async_work work;
  napi_ref done;
  int fd;
  int status;
  size_t request_length;
  size_t response_length;
  unsigned char request[NSM_REQUEST_MAX];
  unsigned char response[NSM_RESPONSE_MAX];
};

/* In a thread of the pool: no JavaScript here. The kernel writes the response's true length, which may exceed its buffer. */
static void nsm_execute(napi_env env, void *data) {
  (void)env;
  struct nsm_call *call = data;
  struct nsm_raw raw = {
      .request = {.address = (uintptr_t)call->request, .length = call->request_length},
      .response = {.address = (uintptr_t)call->response, .length = NSM_RESPONSE_MAX},
  };
  int result;
  do result = ioctl(call->fd, NSM_IOCTL, &raw);
  while (result < 0 && errno == EINTR);
  if (result < 0) call->status = -errno;
  else if (raw.response.length == 0 || raw.response.length > NSM_RESPONSE_MAX) call->status = -EPROTO;
  else call->response_length = raw.response.length;
}

static void nsm_free(napi_env env, struct nsm_call *call) {
  if (call->work != NULL) napi_delete_async_work(env, call->work);
  if (call->done != NULL) napi_delete_reference(env, call->done);
  explicit_bzero(call, sizeof *call); /* random numbers and documents pass through here */
  free(call);
}

/* What `done` throws, Node reports as uncaught. */
static void nsm_complete(napi_env env, napi_status status, void *data) {
  struct nsm_call *call = data;
  napi_value global, done, values[2];
  int result = status == napi_ok ? call->status : UV_ECANCELED;
  if (napi_get_global(env, &global) == napi_ok && napi_get_reference_value(env, call->done, &done) == napi_ok &&
      napi_get_undefined(env, &values[1]) == napi_ok) {
    if (result == 0 &&
        napi_create_buffer_copy(env, call->response_length, call->response, NULL, &values[1]) != napi_ok)
      result = UV_ENOMEM;
    values[0] = number(env, result);
    nsm_free(env, call);
    napi_call_function(env, global, done, 2, values, NULL);
  } else {
    nsm_free(env, call);
  }
}

static napi_value js_nsm(napi_env env, napi_callback_info info) {
  napi_value values[3], name;
  char *request;
  size_t length;
  int32_t fd;
  if (!arguments(env, info, 3, values) || napi_get_value_int32(env, values[0], &fd) != napi_ok ||
      !bytes_of(env, values[1], &request, &length))
    return number(env, UV_EINVAL);
  /* An empty request blocks the device for ever. */
  if (length == 0) return number(env, UV_EINVAL);
  if (length > NSM_REQUEST_MAX) return number(env, UV_EMSGSIZE);
  struct nsm_call *call = calloc(1, sizeof *call);
  if (call == NULL) return number(env, UV_ENOMEM);
  call->fd = fd;
  call->request_length = length;
  memcpy(call->request, request, length);
  if (napi_create_reference(env, values[2], 1, &call->done) == napi_ok &&
      napi_create_string_utf8(env, "NSM", NAPI_AUTO_LENGTH, &name) == napi_ok &&
      napi_create_async_work(env, NULL, name, nsm_execute, nsm_complete, call, &call->work) == napi_ok &&
      napi_queue_async_work(env, call->work) == napi_ok)
    return number(env, 0);
  nsm_free(env, call);
  return number(env, UV_ENOMEM);
}

/* ---- Entropy and time ---- */

static napi_value js_add_entropy(napi_env env, napi_callback_info info) {
  napi_value values[2];
  char *bytes;
  size_t length;
  int32_t fd;
  if (!arguments(env, info, 2, values) || napi_get_value_int32(env, values[0], &fd) != napi_ok ||
      !bytes_of(env, values[1], &bytes, &length) || length == 0 || length > ENTROPY_MAX)
    return number(env, UV_EINVAL);
  size_t size = sizeof(struct rand_pool_info) + length;
  struct rand_pool_info *pool = malloc(size);
  if (pool == NULL) return number(env, UV_ENOMEM);
  pool->entropy_count = (int)length * 8;
  pool->buf_size = (int)length;
  memcpy(pool->buf, bytes, length);
  int status = ioctl(fd, RNDADDENTROPY, pool) < 0 ? -errno : 0;
  explicit_bzero(pool, size);
  free(pool);
  return number(env, status);
}

static napi_value js_set_realtime_clock(napi_env env, napi_callback_info info) {
  napi_value values[1];
  int64_t milliseconds;
  if (!arguments(env, info, 1, values) || napi_get_value_int64(env, values[0], &milliseconds) != napi_ok ||
      milliseconds < 0)
    return number(env, UV_EINVAL);
  struct timespec time = {.tv_sec = milliseconds / 1000, .tv_nsec = (milliseconds % 1000) * 1000000};
  return number(env, clock_settime(CLOCK_REALTIME, &time) < 0 ? -errno : 0);
}

/* ---- The addon in a thread: its beginning and end ---- */

/* The thread ends while endpoints are open. It waits for the hook to be removed, which the last on_closed does. */
static void on_thread_end(napi_async_cleanup_hook_handle hook, void *data) {
  struct instance *instance = data;
  instance->ending = true;
  if (instance->first == NULL) napi_remove_async_cleanup_hook(hook);
  for (struct endpoint *each = instance->first; each != NULL; each = each->next)
    if (!each->closing) begin_close(each);
}

static void free_instance(napi_env env, void *data, void *hint) {
  (void)env;
  (void)hint;
  free(data);
}

#define FUNCTION(name, callback) {name, NULL, callback, NULL, NULL, NULL, napi_enumerable, NULL}

static const napi_property_descriptor FUNCTIONS[] = {
    FUNCTION("connect", js_connect),
    FUNCTION("listen", js_listen),
    FUNCTION("accept", js_accept),
    FUNCTION("watch", js_watch),
    FUNCTION("start", js_start),
    FUNCTION("stop", js_stop),
    FUNCTION("write", js_write),
    FUNCTION("shutdown", js_shutdown),
    FUNCTION("close", js_close),
    FUNCTION("ref", js_ref),
    FUNCTION("unref", js_unref),
    FUNCTION("address", js_address),
    FUNCTION("readInto", js_read_into),
    FUNCTION("nsm", js_nsm),
    FUNCTION("addEntropy", js_add_entropy),
    FUNCTION("setRealtimeClock", js_set_realtime_clock),
};

/* Runs once in every thread that loads the addon. */
NAPI_MODULE_INIT() {
  struct instance *instance = calloc(1, sizeof *instance);
  if (instance == NULL) {
    napi_throw_error(env, "ENOMEM", "vsock: out of memory");
    return NULL;
  }
  instance->env = env;
  if (napi_set_instance_data(env, instance, free_instance, NULL) != napi_ok) {
    free(instance);
    napi_throw_error(env, NULL, "vsock: no instance data");
    return NULL;
  }
  if (napi_get_uv_event_loop(env, &instance->loop) != napi_ok ||
      napi_add_async_cleanup_hook(env, on_thread_end, instance, &instance->hook) != napi_ok ||
      napi_define_properties(env, exports, sizeof FUNCTIONS / sizeof *FUNCTIONS, FUNCTIONS) != napi_ok) {
    napi_throw_error(env, NULL, "vsock: this thread has no event loop");
    return NULL;
  }
  return exports;
}
