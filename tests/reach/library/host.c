/* A program without Tokio: loads the shared object that its first argument names, and calls it. */
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv) {
    void *library = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    void (*serve)(void) = library ? (void (*)(void))dlsym(library, "reach_serve") : NULL;
    if (!serve) {
        fprintf(stderr, "%s\n", argc == 2 ? dlerror() : "usage: host LIBRARY");
        return 1;
    }
    serve();
    return 0;
}
