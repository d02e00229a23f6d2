# One image for web, poll, worker, beat and migrations; the command says which (docker-compose.yml).
FROM python:3.11.14-slim-bookworm

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 \
    REKEY_VAR=/var/lib/rekey REKEY_STATIC=/app/staticfiles
WORKDIR /app

COPY requirements.txt .
RUN pip install --disable-pip-version-check --require-hashes -r requirements.txt

COPY manage.py ./
COPY portal portal
COPY terminals terminals
COPY recovery recovery
COPY templates templates
COPY static static
COPY locale locale
# The key signs nothing here; collectstatic only wants one to be there.
RUN SECRET_KEY=unused-while-building python manage.py collectstatic --noinput --skip-checks --verbosity 0 \
    && useradd --system --uid 10001 --home-dir /var/lib/rekey --create-home rekey
USER 10001
EXPOSE 8000
CMD ["python", "manage.py", "check", "--deploy"]
