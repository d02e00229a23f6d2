from django.db import migrations

ANSWERS = [
    (
        '来电前 · Before we call',
        '您好，我们会打 {phone} 给您。来电的客服先念出工单页面上的两个词；念不出就不是我们，请挂断。',
        'Hello, we are going to call {phone}. Whoever calls first says the two words on your ticket’s page;'
        ' if they cannot, it is not us: hang up.',
    ),
    (
        '站到终端旁 · Stand at the terminal',
        '请站到{terminal}旁边等我们的电话。要用到它屏幕上的码。操作员密码和短信验证码请不要告诉任何人，'
        '包括我们。',
        'Please stand at {terminal} and wait for our call: we need the code on its screen. Tell nobody an'
        ' operator’s password or a code from a text, not even us.',
    ),
    (
        '终端离线 · The terminal is offline',
        '{terminal}现在连不上。请看电源、网络和流量卡。它一联网就会把重置取走，您不用重新提交。',
        'We cannot reach {terminal} just now. Please look at power, network and SIM card. As soon as it is'
        ' online it fetches the reset; you need not ask again.',
    ),
    (
        '要一项证明 · One more proof',
        '为了保护{merchant}，这一步还要一项证明：注册手机收到的验证码，或者终端屏幕上的码。请准备好其中一样，'
        '再回复这张工单。',
        'To protect {merchant} this step needs one more proof: a code to the registered phone, or the code on'
        ' the terminal’s screen. Have one of them ready and answer here.',
    ),
    (
        '办好了 · Done',
        '看起来已经办好了。还有问题就在这张工单（{number}）里回复，两周之内它会重新打开。',
        'This looks solved. If it is not, answer on this ticket ({number}): within two weeks that opens it'
        ' again.',
    ),
]


def add(apps, schema_editor):
    rows = apps.get_model('recovery', 'CannedReply').objects
    for name, text_zh, text_en in ANSWERS:
        rows.get_or_create(name=name, defaults={'text_zh': text_zh, 'text_en': text_en})


class Migration(migrations.Migration):

    dependencies = [
        ('recovery', '0012_prepared_answers'),
    ]

    operations = [
        migrations.RunPython(add, migrations.RunPython.noop),
    ]
