/* A camera in place of the kernel's, for tests: preloaded, it answers the calls that a program makes to one path as uvcvideo would.
 *
 * Compiled against the kernel's own header, so that whoever calls with another layout or another number gets ENOTTY or nonsense.
 *
 *   CAMERA_PATH    the path it answers for; beside it stand its files:
 *   PATH.MJPG, PATH.YUYV, PATH.H264   pictures, each after its length in 4 bytes; picture n is number n modulo their count
 *   PATH.gone, PATH.busy, PATH.denied, PATH.full, PATH.still   as long as they are there, so is that fault
 *   PATH.lose      a number N: of N pictures the kernel loses one.  PATH.damage: of N one is cut and marked as an error
 *   PATH.late      stamps are so many seconds late;  PATH.clockless: stamps are of no known clock
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define BUFFERS 16
#define ROOM (1 << 20)
#define LATENCY_NS 5000000

static int (*real_open)(const char *, int, ...);
static int (*real_ioctl)(int, unsigned long, ...);
static void *(*real_mmap)(void *, size_t, int, int, int, off_t);
static int (*real_close)(int);

static const char *path;
static int camera = -1, memory = -1, streaming, count, fps = 30;
static uint32_t format = V4L2_PIX_FMT_MJPEG, width = 320, height = 240;
static struct v4l2_buffer queue[BUFFERS], done[BUFFERS];
static int queued, ready;
static uint8_t *frames, *room;
static size_t frames_size;
static pthread_t thread;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct { uint32_t id, type; const char *name; int min, max, step, value; } controls[] = {
    {V4L2_CID_AUTO_WHITE_BALANCE, V4L2_CTRL_TYPE_BOOLEAN, "White Balance, Automatic", 0, 1, 1, 1},
    {V4L2_CID_GAIN, V4L2_CTRL_TYPE_INTEGER, "Gain", 0, 255, 1, 64},
    {V4L2_CID_WHITE_BALANCE_TEMPERATURE, V4L2_CTRL_TYPE_INTEGER, "White Balance Temperature", 2800, 6500, 1, 4000},
    {V4L2_CID_EXPOSURE_AUTO, V4L2_CTRL_TYPE_MENU, "Auto Exposure", 0, 3, 1, 3},
    {V4L2_CID_EXPOSURE_ABSOLUTE, V4L2_CTRL_TYPE_INTEGER, "Exposure Time, Absolute", 3, 2047, 1, 250},
    {V4L2_CID_FOCUS_ABSOLUTE, V4L2_CTRL_TYPE_INTEGER, "Focus, Absolute", 0, 250, 5, 0},
    {V4L2_CID_FOCUS_AUTO, V4L2_CTRL_TYPE_BOOLEAN, "Focus, Automatic Continuous", 0, 1, 1, 1},
};
#define CONTROLS ((int)(sizeof controls / sizeof *controls))

static const struct { uint32_t format, width, height; int fps[2]; } modes[] = {
    {V4L2_PIX_FMT_MJPEG, 640, 480, {30, 0}}, {V4L2_PIX_FMT_MJPEG, 320, 240, {30, 15}},
    {V4L2_PIX_FMT_YUYV, 320, 240, {30, 0}}, {V4L2_PIX_FMT_H264, 320, 240, {30, 0}},
};
#define MODES ((int)(sizeof modes / sizeof *modes))

__attribute__((constructor)) static void begin(void)
{
    real_open = dlsym(RTLD_NEXT, "open64");
    real_ioctl = dlsym(RTLD_NEXT, "ioctl");
    real_mmap = dlsym(RTLD_NEXT, "mmap64");
    real_close = dlsym(RTLD_NEXT, "close");
    path = getenv("CAMERA_PATH");
}

static double said(const char *what) /* the number in a file beside the path; 0 for one that is not there, -1 for one without a number */
{
    char name[4096], text[64] = "";
    snprintf(name, sizeof name, "%s.%s", path, what);
    int fd = real_open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    real_close(fd);
    return n > 0 ? atof(text) : -1;
}

static int no(int why) { errno = why; return -1; }

static struct timespec after(struct timespec t, long ns)
{
    t.tv_nsec += ns;
    while (t.tv_nsec >= 1000000000) { t.tv_nsec -= 1000000000; t.tv_sec++; }
    return t;
}

static void *run(void *nothing)
{
    (void)nothing;
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    for (uint32_t sequence = 0; streaming;) {
        next = after(next, 1000000000 / fps);
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
        struct timespec stamp = next, arrival = after(next, LATENCY_NS);
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &arrival, NULL);
        if (said("gone")) {
            eventfd_write(camera, 1);
            return NULL;
        }
        if (said("still"))
            continue;
        uint32_t number = sequence++;
        size_t at = 0;
        int pictures = 0;
        for (size_t i = 0; i < frames_size; i += 4 + *(uint32_t *)(frames + i))
            pictures++;
        for (uint32_t i = 0; i < number % pictures; i++)
            at += 4 + *(uint32_t *)(frames + at);
        int lose = said("lose"), damage = said("damage");
        pthread_mutex_lock(&lock);
        if (queued && !(lose > 0 && number % lose == (uint32_t)lose - 1)) { /* with no buffer the picture is lost, and counted */
            struct v4l2_buffer b = queue[0];
            memmove(queue, queue + 1, --queued * sizeof *queue);
            uint32_t size = *(uint32_t *)(frames + at);
            memcpy(room + b.index * ROOM, frames + at + 4, size);
            b.bytesused = size;
            b.sequence = number;
            b.flags = (said("clockless") ? V4L2_BUF_FLAG_TIMESTAMP_UNKNOWN : V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC) | V4L2_BUF_FLAG_TSTAMP_SRC_SOE;
            if (damage > 0 && number % damage == (uint32_t)damage - 1) {
                b.bytesused = size / 2;
                b.flags |= V4L2_BUF_FLAG_ERROR;
            }
            b.timestamp.tv_sec = stamp.tv_sec - (long)said("late");
            b.timestamp.tv_usec = stamp.tv_nsec / 1000;
            done[ready++] = b;
            eventfd_write(camera, 1);
        }
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static void stop(void)
{
    if (streaming) {
        streaming = 0;
        pthread_join(thread, NULL);
    }
    queued = ready = 0;
}

static int load(void)
{
    char name[4096];
    snprintf(name, sizeof name, "%s.%.4s", path, (char *)&format);
    FILE *file = fopen(name, "rb");
    if (!file)
        return no(EIO);
    free(frames);
    fseek(file, 0, SEEK_END);
    frames_size = ftell(file);
    rewind(file);
    frames = malloc(frames_size);
    int ok = fread(frames, 1, frames_size, file) == frames_size;
    fclose(file);
    return ok ? 0 : no(EIO);
}

static int answer(unsigned long request, void *argument)
{
    if (said("gone"))
        return no(ENODEV);
    switch (request) {
    case VIDIOC_QUERYCAP: {
        struct v4l2_capability *c = argument;
        memset(c, 0, sizeof *c);
        strcpy((char *)c->driver, "uvcvideo");
        strcpy((char *)c->card, "Emulated HD Camera: Front");
        strcpy((char *)c->bus_info, "usb-0000:00:14.0-2");
        c->device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING | V4L2_CAP_EXT_PIX_FORMAT;
        c->capabilities = c->device_caps | V4L2_CAP_META_CAPTURE | V4L2_CAP_DEVICE_CAPS;
        return 0;
    }
    case VIDIOC_ENUM_FMT: {
        struct v4l2_fmtdesc *f = argument;
        static const uint32_t formats[] = {V4L2_PIX_FMT_MJPEG, V4L2_PIX_FMT_YUYV, V4L2_PIX_FMT_H264};
        if (f->type != V4L2_BUF_TYPE_VIDEO_CAPTURE || f->index >= 3)
            return no(EINVAL);
        f->pixelformat = formats[f->index];
        return 0;
    }
    case VIDIOC_ENUM_FRAMESIZES: {
        struct v4l2_frmsizeenum *s = argument;
        for (int i = 0, n = 0; i < MODES; i++)
            if (modes[i].format == s->pixel_format && n++ == (int)s->index) {
                s->type = V4L2_FRMSIZE_TYPE_DISCRETE;
                s->discrete.width = modes[i].width;
                s->discrete.height = modes[i].height;
                return 0;
            }
        return no(EINVAL);
    }
    case VIDIOC_ENUM_FRAMEINTERVALS: {
        struct v4l2_frmivalenum *v = argument;
        for (int i = 0; i < MODES; i++)
            if (modes[i].format == v->pixel_format && modes[i].width == v->width && modes[i].height == v->height && v->index < 2 &&
                modes[i].fps[v->index]) {
                v->type = V4L2_FRMIVAL_TYPE_DISCRETE;
                v->discrete.numerator = 1;
                v->discrete.denominator = modes[i].fps[v->index];
                return 0;
            }
        return no(EINVAL);
    }
    case VIDIOC_S_FMT: {
        struct v4l2_format *f = argument;
        if (f->type != V4L2_BUF_TYPE_VIDEO_CAPTURE)
            return no(EINVAL);
        if (said("busy"))
            return no(EBUSY);
        format = f->fmt.pix.pixelformat;
        width = f->fmt.pix.width;
        height = f->fmt.pix.height;
        f->fmt.pix.bytesperline = format == V4L2_PIX_FMT_YUYV ? 2 * width : 0;
        f->fmt.pix.sizeimage = ROOM;
        return load();
    }
    case VIDIOC_G_PARM: case VIDIOC_S_PARM: {
        struct v4l2_streamparm *p = argument;
        if (p->type != V4L2_BUF_TYPE_VIDEO_CAPTURE)
            return no(EINVAL);
        if (request == VIDIOC_S_PARM)
            fps = p->parm.capture.timeperframe.denominator / p->parm.capture.timeperframe.numerator;
        p->parm.capture.capability = V4L2_CAP_TIMEPERFRAME;
        p->parm.capture.timeperframe.numerator = 1;
        p->parm.capture.timeperframe.denominator = fps;
        return 0;
    }
    case VIDIOC_QUERYCTRL: {
        struct v4l2_queryctrl *q = argument;
        int next = q->id & V4L2_CTRL_FLAG_NEXT_CTRL;
        uint32_t id = q->id & ~V4L2_CTRL_FLAG_NEXT_CTRL;
        for (int i = 0; i < CONTROLS; i++)
            if (next ? controls[i].id > id : controls[i].id == id) {
                q->id = controls[i].id;
                q->type = controls[i].type;
                strcpy((char *)q->name, controls[i].name);
                q->minimum = controls[i].min;
                q->maximum = controls[i].max;
                q->step = controls[i].step;
                q->flags = 0;
                return 0;
            }
        return no(EINVAL);
    }
    case VIDIOC_QUERYMENU: {
        struct v4l2_querymenu *m = argument;
        if (m->id != V4L2_CID_EXPOSURE_AUTO || (m->index != 1 && m->index != 3))
            return no(EINVAL);
        strcpy((char *)m->name, m->index == 1 ? "Manual Mode" : "Aperture Priority Mode");
        return 0;
    }
    case VIDIOC_G_CTRL: case VIDIOC_S_CTRL: {
        struct v4l2_control *c = argument;
        for (int i = 0; i < CONTROLS; i++) {
            if (controls[i].id != c->id)
                continue;
            if (request == VIDIOC_S_CTRL) {
                if ((c->id == V4L2_CID_EXPOSURE_ABSOLUTE && controls[3].value != 1) || (c->id == V4L2_CID_FOCUS_ABSOLUTE && controls[6].value) ||
                    (c->id == V4L2_CID_WHITE_BALANCE_TEMPERATURE && controls[0].value))
                    return no(EACCES);
                controls[i].value = c->value - (c->value - controls[i].min) % controls[i].step;
            }
            c->value = controls[i].value;
            return 0;
        }
        return no(EINVAL);
    }
    case VIDIOC_REQBUFS: {
        struct v4l2_requestbuffers *r = argument;
        if (r->type != V4L2_BUF_TYPE_VIDEO_CAPTURE || r->memory != V4L2_MEMORY_MMAP)
            return no(EINVAL);
        count = r->count = r->count < BUFFERS ? r->count : BUFFERS;
        return ftruncate(memory, (off_t)count * ROOM);
    }
    case VIDIOC_QUERYBUF: {
        struct v4l2_buffer *b = argument;
        if ((int)b->index >= count || b->type != V4L2_BUF_TYPE_VIDEO_CAPTURE)
            return no(EINVAL);
        b->length = ROOM;
        b->m.offset = b->index * ROOM;
        b->flags = said("clockless") ? V4L2_BUF_FLAG_TIMESTAMP_UNKNOWN : V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
        return 0;
    }
    case VIDIOC_QBUF: {
        struct v4l2_buffer *b = argument;
        if ((int)b->index >= count || b->memory != V4L2_MEMORY_MMAP || b->type != V4L2_BUF_TYPE_VIDEO_CAPTURE)
            return no(EINVAL);
        pthread_mutex_lock(&lock);
        queue[queued++] = *b;
        pthread_mutex_unlock(&lock);
        return 0;
    }
    case VIDIOC_DQBUF: {
        eventfd_t one;
        if (eventfd_read(camera, &one) < 0)
            return no(EAGAIN);
        pthread_mutex_lock(&lock);
        *(struct v4l2_buffer *)argument = done[0];
        memmove(done, done + 1, --ready * sizeof *done);
        pthread_mutex_unlock(&lock);
        return 0;
    }
    case VIDIOC_STREAMON:
        if (*(int *)argument != V4L2_BUF_TYPE_VIDEO_CAPTURE)
            return no(EINVAL);
        if (said("full"))
            return no(ENOSPC);
        room = real_mmap(NULL, (size_t)count * ROOM, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
        streaming = 1;
        return pthread_create(&thread, NULL, run, NULL);
    case VIDIOC_STREAMOFF:
        stop();
        return 0;
    }
    return no(ENOTTY);
}

static int opened(const char *name, int flags, mode_t mode)
{
    if (!path || strcmp(name, path))
        return real_open(name, flags, mode);
    if (said("gone"))
        return no(ENOENT);
    if (said("denied"))
        return no(EACCES);
    memory = memfd_create("buffers", MFD_CLOEXEC);
    return camera = eventfd(0, EFD_NONBLOCK | EFD_SEMAPHORE | EFD_CLOEXEC);
}

int open(const char *name, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return opened(name, flags, mode);
}

int open64(const char *name, int flags, ...) __attribute__((alias("open")));

int ioctl(int fd, unsigned long request, ...)
{
    va_list rest;
    va_start(rest, request);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    return fd == camera && fd >= 0 ? answer(request & 0xffffffff, argument) : real_ioctl(fd, request, argument);
}

void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    if (!real_mmap)
        real_mmap = dlsym(RTLD_NEXT, "mmap64");
    return real_mmap(at, size, protection, flags, fd == camera && fd >= 0 ? memory : fd, offset);
}

void *mmap64(void *at, size_t size, int protection, int flags, int fd, off_t offset) __attribute__((alias("mmap")));

int close(int fd)
{
    if (!real_close)
        real_close = dlsym(RTLD_NEXT, "close");
    if (fd == camera && fd >= 0) {
        stop();
        camera = -1;
        real_close(memory);
        memory = -1;
    }
    return real_close(fd);
}
