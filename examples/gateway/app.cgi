#!/usr/bin/env -S svctree run -c
# A CGI script whose text is its configuration. Put it where the web server looks for
# CGI scripts and make it executable.
[svctree]
application = svctree.demo:application
pythonpath = .
protocol = fastcgi
listen = stdin
detach = no
workermodel = once
loglevel = error
