"""An S3 server for trying things out in a cluster: SeaweedFS with a bucket and the demo model in it.

    AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=… python -m tunesmith_tryout.s3 --data /data

It has one replica, no TLS and no backup, so it is not for data that matter.
"""
