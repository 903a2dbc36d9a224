"""Container formats that a file of a data set may have.

A data set's files are not trusted, and some of FFmpeg's demuxers open further files or addresses that a file names:
playlists and manifests (`hls`, `dash`, `imf`, `concat`, `rtsp`, `sdp`), numbered pictures (`image2`), subtitle indexes
(`vobsub`). Others draw a text as pictures (`tty`, `svg_pipe`). So only the demuxers of this list are allowed. Add a demuxer
only if it reads nothing but the file itself.
"""

_VIDEO = (
    *("mov", "matroska", "avi", "flv", "live_flv", "kux", "mpegts", "mpeg", "asf", "ogg", "nut", "mxf", "gxf", "dv"),
    *("rm", "ivr", "wtv", "nuv", "pva", "ty", "nsv", "swf", "film_cpk", "yuv4mpegpipe", "ivf", "mjpeg", "mjpeg_2000"),
    # one track without a container
    *("h261", "h263", "h264", "hevc", "vvc", "evc", "av1", "obu", "m4v", "mpegvideo", "vc1", "vc1test", "dirac"),
    *("cavsvideo", "avs2", "avs3", "dnxhd", "apv"),
)
_PICTURES = (
    *("gif", "apng", "jpegxl_anim", "jpeg_pipe", "png_pipe", "webp_pipe", "gif_pipe", "bmp_pipe", "tiff_pipe"),
    *("j2k_pipe", "jpegls_pipe", "jpegxl_pipe", "qoi_pipe", "pam_pipe", "pbm_pipe", "pgm_pipe", "ppm_pipe", "psd_pipe"),
    *("dpx_pipe", "exr_pipe", "hdr_pipe", "sgi_pipe", "dds_pipe", "ico"),
)
# With these, a file of sound alone gets the error `no_video` instead of `not_media`.
_SOUND = (
    *("aac", "ac3", "ac4", "aiff", "amr", "ape", "au", "caf", "dts", "dtshd", "dsf", "eac3", "flac", "loas", "mp3"),
    *("mpc", "mpc8", "oma", "qcp", "tak", "truehd", "tta", "voc", "w64", "wav", "wv", "xwma"),
)
DEMUXERS = (*_VIDEO, *_PICTURES, *_SOUND)
